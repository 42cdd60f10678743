import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedKFold

from tests.refusals import refused
from trainables.data.folds import Fold, overlap, stratified_folds


@st.composite
def splits(draw):
    num_folds = draw(st.integers(2, 6))
    counts = draw(st.lists(st.integers(num_folds, 25), min_size=1, max_size=3))
    target = np.repeat(np.arange(len(counts)), counts)
    order = draw(st.permutations(range(len(target))))
    return target[np.array(order)], num_folds, draw(st.integers(0, 2**32 - 1))


@given(splits())
def test_folds_partition_and_stratify(split):
    target, num_folds, seed = split
    folds = stratified_folds(target, num_folds=num_folds, seed=seed)
    assert len(folds) == num_folds
    np.testing.assert_array_equal(
        np.sort(np.concatenate([fold.val for fold in folds])), np.arange(len(target))
    )
    for fold in folds:
        assert (np.diff(fold.train) > 0).all()
        assert (np.diff(fold.val) > 0).all()
        assert set(fold.train) | set(fold.val) == set(range(len(target)))
        assert not set(fold.train) & set(fold.val)
    sizes = [len(fold.val) for fold in folds]
    assert max(sizes) - min(sizes) <= 1
    for label in np.unique(target):
        per_fold = [int((target[fold.val] == label).sum()) for fold in folds]
        assert max(per_fold) - min(per_fold) <= 1


@given(splits())
def test_folds_are_those_of_scikit_learn(split):
    target, num_folds, seed = split
    splitter = StratifiedKFold(num_folds, shuffle=True, random_state=seed)
    expected = splitter.split(np.zeros((len(target), 1)), target)
    for fold, (train, val) in zip(
        stratified_folds(target, num_folds=num_folds, seed=seed), expected, strict=True
    ):
        np.testing.assert_array_equal(fold.train, train)
        np.testing.assert_array_equal(fold.val, val)


def test_folds_depend_on_the_seed_only():
    target = np.arange(100) % 2
    first, same, other = (stratified_folds(target, num_folds=4, seed=s) for s in (1, 1, 2))
    for left, right in zip(first, same, strict=True):
        np.testing.assert_array_equal(left.train, right.train)
        np.testing.assert_array_equal(left.val, right.val)
    assert any((left.val != right.val).any() for left, right in zip(first, other, strict=True))


@pytest.mark.parametrize("num_folds", [-1, 0, 1])
def test_fewer_than_two_folds_are_refused(num_folds):
    with refused("folds.too-few", folds=num_folds, rarest=3):
        stratified_folds(np.array([0, 0, 0, 1, 1, 1, 1]), num_folds=num_folds, seed=0)


def test_more_folds_than_samples_of_a_class_are_refused():
    with refused("folds.more-than-rarest-class", folds=4, rarest=3):
        stratified_folds(np.array([0, 0, 0, 1, 1, 1, 1]), num_folds=4, seed=0)


def test_folds_of_nothing_are_refused():
    with refused("folds.more-than-rarest-class", rarest=0):
        stratified_folds(np.zeros(0, dtype=np.int64), num_folds=2, seed=0)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_fold_seed_out_of_range_is_refused(seed):
    with refused("folds.seed-out-of-range", seed=seed):
        stratified_folds(np.arange(10) % 2, num_folds=2, seed=seed)


@pytest.mark.parametrize("num_folds", [2, 5, 10])
def test_equal_folds_overlap_by_one_in_their_number_less_one(num_folds):
    folds = stratified_folds(np.repeat([0, 1], 50), num_folds=num_folds, seed=0)
    assert overlap(folds) == 1 / (num_folds - 1)


def test_the_overlap_of_unequal_folds_is_the_mean_of_their_own():
    rows = np.arange(12)
    in_time = [Fold(train=rows[:n], val=rows[n : n + 3]) for n in (3, 6, 9)]
    assert overlap(in_time) == pytest.approx((3 / 3 + 3 / 6 + 3 / 9) / 3)
