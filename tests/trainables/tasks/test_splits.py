import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    PredefinedSplit,
    StratifiedGroupKFold,
    StratifiedKFold,
    TimeSeriesSplit,
)

from foldsweep.errors import UserError
from trainables.tasks.samples import Samples
from trainables.tasks.splits import Split

CLASSES = np.random.default_rng(0).integers(0, 3, 90)
GROUPS = np.random.default_rng(1).integers(0, 15, 90)


def samples(target=CLASSES, groups=None):
    rows = np.arange(float(len(target)))[:, None]
    return Samples(inputs={"numeric": rows}, targets={"y": target}, groups=groups)


def folds_of(split, *, of=None, num_folds=5, seed=0):
    return split.folds(of or samples(), target="y", num_folds=num_folds, seed=seed)


def assert_same(folds, pairs):
    for fold, (train, val) in zip(folds, pairs, strict=True):
        np.testing.assert_array_equal(fold.train, np.sort(train))
        np.testing.assert_array_equal(fold.val, np.sort(val))


X = np.zeros((90, 1))
REFERENCES = {
    "stratified": (StratifiedKFold(5, shuffle=True, random_state=3), samples()),
    "plain": (KFold(5, shuffle=True, random_state=3), samples(CLASSES + 0.5)),
    "grouped": (StratifiedGroupKFold(5, shuffle=True, random_state=3), samples(groups=GROUPS)),
    "time": (TimeSeriesSplit(5), samples()),
}


@pytest.mark.parametrize("kind", REFERENCES)
def test_folds_are_those_of_scikit_learn(kind):
    splitter, rows = REFERENCES[kind]
    folds = folds_of(Split(kind=kind), of=rows, seed=3)
    assert_same(folds, splitter.split(X, CLASSES, rows.groups))


def test_groups_of_a_regression_are_not_stratified():
    rows = samples(CLASSES + 0.5, groups=GROUPS)
    folds = folds_of(Split(kind="grouped", classes=False), of=rows, seed=3)
    splitter = GroupKFold(5, shuffle=True, random_state=3)
    assert_same(folds, splitter.split(X, groups=GROUPS))


def test_a_fold_column_is_scikit_learns_predefined_split():
    column = np.arange(90) % 4 - 1
    split = Split(kind="given", fold_of=column)
    assert split.fixed_folds(samples()) == 3
    assert_same(folds_of(split, num_folds=3), PredefinedSplit(column).split())
    of_groups = folds_of(Split(kind="given"), of=samples(groups=column), num_folds=3)
    assert_same(of_groups, PredefinedSplit(column).split())


def test_a_fold_column_of_names():
    column = np.array(["b", "a", "-1"] * 30)
    first, second = folds_of(Split(kind="given", fold_of=column), num_folds=2)
    assert set(column[first.val]) == {"a"}
    assert set(column[second.val]) == {"b"}
    assert set(column[first.train]) == {"b", "-1"}


@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.booleans())
def test_no_group_is_in_both_parts(seed, num_folds, classes):
    rows = samples(groups=GROUPS)
    split = Split(kind="grouped", classes=classes)
    folds = folds_of(split, of=rows, num_folds=num_folds, seed=seed)
    for fold in folds:
        assert not set(GROUPS[fold.train]) & set(GROUPS[fold.val])
    np.testing.assert_array_equal(np.sort(np.concatenate([f.val for f in folds])), np.arange(90))


@given(st.integers(2, 20))
def test_no_training_row_is_later_than_a_held_out_one(num_folds):
    for fold in folds_of(Split(kind="time"), num_folds=num_folds):
        assert fold.train.max() < fold.val.min()


@pytest.mark.parametrize("kind", ["stratified", "plain", "grouped"])
def test_repeats_cut_differently_and_begin_with_the_one(kind):
    rows = samples(CLASSES if kind != "plain" else CLASSES + 0.5, groups=GROUPS)
    once = folds_of(Split(kind=kind), of=rows)
    thrice = folds_of(Split(kind=kind, repeats=3), of=rows)
    assert len(thrice) == 15
    assert_same(thrice[:5], [(fold.train, fold.val) for fold in once])
    cuts = {tuple(tuple(fold.val) for fold in thrice[i : i + 5]) for i in (0, 5, 10)}
    assert len(cuts) == 3
    for start in (0, 5, 10):
        held = np.concatenate([fold.val for fold in thrice[start : start + 5]])
        np.testing.assert_array_equal(np.sort(held), np.arange(90))


def test_a_split_of_ones_own():
    def halves(rows, num_folds, seed):
        assert (num_folds, seed) == (5, 0)
        mask = np.arange(len(rows)) < 50
        return [(np.flatnonzero(mask)[::-1], np.flatnonzero(~mask)), (~mask, mask)]

    split = Split(kind="own", function=halves)
    first, second = folds_of(split)
    np.testing.assert_array_equal(first.train, np.arange(50))
    np.testing.assert_array_equal(second.train, np.arange(50, 90))
    assert split.described() == "by the task's own function"
    assert split.to_dict()["function"].endswith("halves")


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([([0], [1])], "gives 1 folds: at least 2"),
        ([([0], [1]), ([0], [90])], "fold 1 .* rows from 0 to 89, but has 90"),
        ([([0], [1]), ([-1], [0])], "rows from 0 to 89, but has -1"),
        ([([0], [1]), ([0, 1], [1])], "a row twice, or in both"),
        ([([0], [1]), ([0, 0], [1])], "a row twice"),
        ([([0], [1]), ([], [1])], "must have rows to train on and rows held out"),
        ([([0], [1]), ([0.5], [1])], "must be a pair of arrays of rows"),
        ([([0], [1]), ([0], [1], [2])], "must be a pair of arrays of rows"),
        ([([0], [1]), 3], "must be a pair of arrays of rows"),
        ([([0], [1]), ([[0]], [1])], "must be a pair of arrays of rows"),
    ],
)
def test_a_split_of_ones_own_is_checked(pairs, message):
    with pytest.raises(UserError, match=message):
        folds_of(Split(kind="own", function=lambda *_: pairs))


@pytest.mark.parametrize(
    ("split", "rows", "num_folds", "message"),
    [
        (Split(), samples(), 1, "cannot split into 1 folds: choose at least 2"),
        (Split(), samples(np.array([0, 0, 0, 1, 1])), 3, "the rarest class has 2"),
        (Split(), samples(CLASSES + 0.5), 3, "needs classes, but the target is a number"),
        (Split(kind="plain"), samples(CLASSES[:4]), 5, "cannot split 4 rows into 5 folds"),
        (Split(kind="grouped"), samples(), 5, "needs the group of each row"),
        (Split(kind="grouped"), samples(groups=CLASSES), 5, "cannot split 3 groups into 5"),
        (
            Split(kind="grouped"),
            samples(np.array([0] * 88 + [1, 1]), groups=GROUPS),
            5,
            "the rarest class has 2 rows",
        ),
        (Split(kind="time"), samples(CLASSES[:5]), 5, "cannot split 5 rows in time into 5"),
        (Split(kind="given"), samples(), 5, "needs the fold of each row"),
        (Split(kind="given"), samples(groups=CLASSES), 5, "has 3 folds, not 5: choose --folds 3"),
        (Split(kind="given"), samples(groups=CLASSES * 0), 5, "has 1 folds: at least 2"),
    ],
)
def test_rows_that_do_not_allow_the_folds_are_refused(split, rows, num_folds, message):
    with pytest.raises(UserError, match=message):
        folds_of(split, of=rows, num_folds=num_folds)


@pytest.mark.parametrize(
    "fields",
    [{"repeats": 0}, {"kind": "time", "repeats": 2}, {"kind": "own"}, {"function": print}],
)
def test_splits_that_cannot_be_meant_are_refused(fields):
    with pytest.raises(UserError):
        Split(**fields)


def test_plain_values_there_and_back():
    split = Split(kind="grouped", repeats=2, classes=False)
    assert Split.from_dict(split.to_dict()) == split
    assert split.described() == "whole groups, repeated 2 times"


@pytest.mark.parametrize(
    "values",
    [{}, {"kind": "magic", "repeats": 1, "classes": True}, {"kind": "own", "function": "f"}],
)
def test_records_of_no_split_are_refused(values):
    with pytest.raises(UserError):
        Split.from_dict(values)


def test_a_seed_that_scikit_learn_does_not_take_is_refused():
    with pytest.raises(UserError, match="the seed is 4294967296: choose one from 0"):
        folds_of(Split(kind="plain"), seed=2**32)
