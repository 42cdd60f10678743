"""Stratified cross-validation folds."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from statistics import mean

import numpy as np
from jaxtyping import Int, Int64

from foldsweep.errors import UserError

_MAX_SEED = 2**32 - 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Fold:
    """Sorted, disjoint indices of training rows and validation rows."""

    train: Int64[np.ndarray, " t"]
    val: Int64[np.ndarray, " v"]


def overlap(folds: Sequence[Fold]) -> float:
    """Ratio of held-out to training rows, averaged over folds: 1 / (k - 1) for k equal folds.

    Args:
        folds: At least one fold, each with training rows.
    """
    return float(mean(Fraction(len(fold.val), len(fold.train)) for fold in folds))


def stratified_folds(
    target: Int[np.ndarray, " n"], *, num_folds: int, seed: int
) -> tuple[Fold, ...]:
    """Split rows into stratified folds, which are shared by every variant of a sweep.

    Folds depend on the arguments only, so variants with the same seed are compared on identical
    splits. Every sample is held out exactly once, and fold sizes differ by at most one.

    Args:
        target: Class of each sample, by which the folds are stratified.
        num_folds: Number of folds, at least 2.
        seed: Random seed of the split, from 0 to 2**32 - 1; independent of the model seed.

    Raises:
        UserError: If `num_folds` is below 2 or exceeds the size of the rarest class, or the seed
            is out of range.

    References:
        Kohavi (1995), "A study of cross-validation and bootstrap", IJCAI.
    """
    if not 0 <= seed <= _MAX_SEED:
        raise UserError.of("folds.seed-out-of-range", seed=seed, most=_MAX_SEED)
    _, counts = np.unique(target, return_counts=True)
    rarest = int(counts.min(initial=len(target)))
    if num_folds < 2:
        raise UserError.of("folds.too-few", folds=num_folds, rarest=rarest)
    if num_folds > rarest:
        raise UserError.of("folds.more-than-rarest-class", folds=num_folds, rarest=rarest)
    fold_of = _fold_of(target, num_folds, np.random.RandomState(seed))
    return tuple(
        Fold(train=np.flatnonzero(fold_of != i), val=np.flatnonzero(fold_of == i))
        for i in range(num_folds)
    )


def _fold_of(
    target: Int[np.ndarray, " n"], num_folds: int, rng: np.random.RandomState
) -> Int64[np.ndarray, " n"]:
    """Fold in which each sample is held out, the same as of scikit-learn's `StratifiedKFold`.

    Importing `StratifiedKFold` would delay the first training step of a sweep by 1.4 s, and a
    sweep needs nothing else from that import. Sorted by class, samples are assigned to folds in
    turn, which determines how many samples of each class a fold gets. Which samples these are is
    then drawn class by class, in order of first appearance.
    """
    _, first, classes = np.unique(target, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))
    by_appearance = rank[classes]
    dealt = np.sort(by_appearance)
    fold_of = np.empty(len(target), dtype=np.int64)
    for c in range(len(first)):
        shares = [np.count_nonzero(dealt[i::num_folds] == c) for i in range(num_folds)]
        folds = np.repeat(np.arange(num_folds), shares)
        rng.shuffle(folds)
        fold_of[by_appearance == c] = folds
    return fold_of
