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

from tests.refusals import refused
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
    ("second", "key", "values"),
    [
        (([0], [90]), "own-row-unknown", {"last": 89, "row": 90}),
        (([-1], [0]), "own-row-unknown", {"last": 89, "row": -1}),
        (([0, 1], [1]), "own-fold-has-row-twice", {}),
        (([0, 0], [1]), "own-fold-has-row-twice", {}),
        (([], [1]), "own-fold-without-rows", {}),
        (([0.5], [1]), "own-fold-not-a-pair", {}),
        (([0], [1], [2]), "own-fold-not-a-pair", {}),
        (3, "own-fold-not-a-pair", {}),
        (([[0]], [1]), "own-fold-not-a-pair", {}),
    ],
)
def test_a_fold_of_ones_own_is_checked(second, key, values):
    pairs = [([0], [1]), second]
    with refused(f"splits.{key}", fold=1, **values):
        folds_of(Split(kind="own", function=lambda *_: pairs))


def test_a_split_of_ones_own_needs_two_folds():
    pairs = [([0], [1])]
    with refused("splits.too-few-own-folds", folds=1):
        folds_of(Split(kind="own", function=lambda *_: pairs))


@pytest.mark.parametrize(
    ("kind", "rows", "num_folds", "key", "values"),
    [
        ("stratified", samples(), 1, "too-few-folds", {"folds": 1}),
        ("stratified", samples(CLASSES + 0.5), 3, "target-not-classes", {}),
        ("plain", samples(CLASSES[:4]), 5, "more-folds-than-rows", {"rows": 4, "folds": 5}),
        ("grouped", samples(), 5, "groups-missing", {}),
        ("grouped", samples(groups=CLASSES), 5, "more-folds-than-groups", {"groups": 3}),
        (
            "grouped",
            samples(np.array([0] * 88 + [1, 1]), groups=GROUPS),
            5,
            "rarest-class-too-small",
            {"rows": 2},
        ),
        ("time", samples(CLASSES[:5]), 5, "too-few-rows-in-time", {"rows": 5, "folds": 5}),
        ("given", samples(), 5, "fold-column-missing", {}),
        ("given", samples(groups=CLASSES), 5, "folds-unlike-column", {"fixed": 3, "folds": 5}),
        ("given", samples(groups=CLASSES * 0), 5, "too-few-folds-in-column", {"folds": 1}),
    ],
)
def test_rows_that_do_not_allow_the_folds_are_refused(kind, rows, num_folds, key, values):
    with refused(f"splits.{key}", **values):
        folds_of(Split(kind=kind), of=rows, num_folds=num_folds)


def test_a_stratified_split_needs_a_row_of_each_class_per_fold():
    with refused("folds.more-than-rarest-class", folds=3, rarest=2):
        folds_of(Split(), of=samples(np.array([0, 0, 0, 1, 1])), num_folds=3)


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({"repeats": 0}, "cannot-be-repeated"),
        ({"kind": "time", "repeats": 2}, "cannot-be-repeated"),
        ({"kind": "own"}, "function-without-own"),
        ({"function": print}, "function-without-own"),
    ],
)
def test_splits_that_cannot_be_meant_are_refused(fields, key):
    with refused(f"splits.{key}"):
        Split(**fields)


def test_plain_values_there_and_back():
    split = Split(kind="grouped", repeats=2, classes=False)
    assert Split.from_dict(split.to_dict()) == split
    assert split.described() == "whole groups, repeated 2 times"


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({}, "record-invalid"),
        ({"kind": "magic", "repeats": 1, "classes": True}, "record-invalid"),
        ({"kind": "own", "function": "f"}, "folds-of-a-program"),
    ],
)
def test_records_of_no_split_are_refused(values, key):
    with refused(f"splits.{key}"):
        Split.from_dict(values)


def test_a_seed_that_scikit_learn_does_not_take_is_refused():
    with refused("splits.seed-out-of-range", seed=2**32):
        folds_of(Split(kind="plain"), seed=2**32)
