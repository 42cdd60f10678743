"""Splits: how training rows are split into folds."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np

from foldsweep.errors import UserError
from trainables.data.folds import Fold, stratified_folds
from trainables.seeds import derive_seed
from trainables.tasks.samples import Samples

SplitKind = Literal["stratified", "plain", "grouped", "time", "given", "own"]
Rows = tuple[np.ndarray, np.ndarray]
SplitFunction = Callable[[Samples, int, int], Iterable[Rows]]

ALWAYS_TRAINED = "-1"
"""Fold of rows that are never held out, as in scikit-learn's `PredefinedSplit`."""
_WORDS: dict[SplitKind, str] = {
    "stratified": "stratified",
    "plain": "shuffled",
    "grouped": "whole groups",
    "time": "in order of time",
    "given": "as the fold column says",
    "own": "by the task's own function",
}


@dataclass(frozen=True, kw_only=True)
class Split:
    """Cross-validation split; the folds depend on rows, number of folds and seed only.

    - `stratified`: every fold has the same share of each class.
    - `plain`: shuffled rows.
    - `grouped`: rows of a group stay together; stratified too if the target is classes.
    - `time`: the order of rows is time, and each fold trains on earlier rows only.
    - `given`: the fold of each row is in `fold_of`, or in the samples' groups if that is None.
    - `own`: the user's function makes the folds.

    Raises:
        UserError: If `time`, `given` or `own` is to be repeated, or `own` has no function.
    """

    kind: SplitKind = "stratified"
    repeats: int = 1
    """Number of times the rows are split into folds, each time differently."""
    classes: bool = True
    """Whether the target is classes, which `grouped` then stratifies by."""
    fold_of: np.ndarray | None = field(default=None, compare=False)
    """Fold of each row, (n,); -1 for rows that are always trained on."""
    function: SplitFunction | None = None
    """`(samples, num_folds, seed)` to pairs of training rows and held-out rows."""

    def __post_init__(self) -> None:
        if self.kind not in get_args(SplitKind):
            kinds = ", ".join(get_args(SplitKind))
            raise UserError.of("splits.split-unknown", known=kinds, split=self.kind)
        if self.repeats < 1 or (self.repeats > 1 and self.kind in ("time", "given", "own")):
            raise UserError.of(
                "splits.cannot-be-repeated", split=_WORDS[self.kind], repeats=self.repeats
            )
        if (self.kind == "own") != (self.function is not None):
            raise UserError.of("splits.function-without-own")

    def folds(
        self, samples: Samples, *, target: str, num_folds: int, seed: int
    ) -> tuple[Fold, ...]:
        """Split the rows into folds, which are the same for every variant of a sweep.

        The folds of the first repeat do not depend on the number of repeats.

        Args:
            samples: Training rows.
            target: Name of the target, whose classes are stratified.
            num_folds: Number of folds of one repeat.
            seed: Random seed, from 0 to 2**32 - 1.

        Returns:
            `repeats` times `num_folds` folds; for `own`, all folds that the function returns.

        Raises:
            UserError: If the rows cannot be split into `num_folds` folds.
        """
        if self.kind == "own":
            return _own_folds(self.function, samples, num_folds, seed)  # type: ignore[arg-type]
        check_seed(seed)
        _check_number(num_folds, samples, self)
        seeds = [seed, *(derive_seed(seed, r) % 2**32 for r in range(1, self.repeats))]
        return tuple(
            fold
            for s in seeds
            for fold in self._once(samples, samples.targets[target], num_folds, s)
        )

    def _once(
        self, samples: Samples, target: np.ndarray, num_folds: int, seed: int
    ) -> Iterable[Fold]:
        match self.kind:
            case "stratified":
                _refuse_numbers(target)
                return stratified_folds(target, num_folds=num_folds, seed=seed)
            case "plain":
                return _plain(len(samples), num_folds, seed)
            case "grouped":
                return _grouped(samples, target, num_folds, seed, classes=self.classes)
            case "time":
                return _by_time(len(samples), num_folds)
        return _given(self._folds_given(samples))

    def fixed_folds(self, samples: Samples) -> int | None:
        """Number of folds in the fold column; None if the split has none, so any number works."""
        if self.kind != "given":
            return None
        return len(_folds_of(self._folds_given(samples))[0])

    def _folds_given(self, samples: Samples) -> np.ndarray | None:
        return samples.groups if self.fold_of is None else self.fold_of

    def described(self) -> str:
        """Description of the split for a message."""
        repeated = f", repeated {self.repeats} times" if self.repeats > 1 else ""
        return _WORDS[self.kind] + repeated

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for a record, which `from_dict` reads."""
        function = None if self.function is None else getattr(self.function, "__qualname__", "")
        return {
            "kind": self.kind,
            "repeats": self.repeats,
            "classes": self.classes,
            "function": function,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Split":
        """Return the split that `to_dict` wrote.

        Raises:
            UserError: If the values are not a split, or the split is `own`, whose function is not
                recorded.
        """
        kind, repeats, classes = (values.get(key) for key in ("kind", "repeats", "classes"))
        if kind == "own":
            raise UserError.of("splits.folds-of-a-program", function=values.get("function"))
        if (
            kind not in get_args(SplitKind)
            or type(repeats) is not int
            or type(classes) is not bool
        ):
            raise UserError.of("splits.record-invalid", record=dict(values))
        return cls(
            kind=kind,  # type: ignore[arg-type]
            repeats=repeats,
            classes=classes,
        )


def check_seed(seed: int) -> None:
    """Refuse a seed that scikit-learn does not accept.

    Raises:
        UserError: If the seed is not from 0 to 2**32 - 1.
    """
    if not 0 <= seed < 2**32:
        raise UserError.of("splits.seed-out-of-range", seed=seed, most=2**32 - 1)


def _check_number(num_folds: int, samples: Samples, split: Split) -> None:
    if num_folds < 2:
        raise UserError.of("splits.too-few-folds", folds=num_folds)
    if num_folds > len(samples):
        raise UserError.of("splits.more-folds-than-rows", rows=len(samples), folds=num_folds)
    fixed = split.fixed_folds(samples)
    if fixed is not None and fixed != num_folds:
        raise UserError.of("splits.folds-unlike-column", fixed=fixed, folds=num_folds)


def _refuse_numbers(target: np.ndarray) -> None:
    if target.dtype.kind == "f":
        raise UserError.of("splits.target-not-classes")


def _plain(rows: int, num_folds: int, seed: int) -> Iterator[Fold]:
    from sklearn.model_selection import KFold

    splitter = KFold(num_folds, shuffle=True, random_state=seed)
    return _folds(splitter.split(np.empty(rows)))


def _grouped(
    samples: Samples, target: np.ndarray, num_folds: int, seed: int, *, classes: bool
) -> list[Fold]:
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    if samples.groups is None:
        raise UserError.of("splits.groups-missing")
    count = len(np.unique(samples.groups))
    if count < num_folds:
        raise UserError.of("splits.more-folds-than-groups", groups=count, folds=num_folds)
    if classes:
        _refuse_rare(target, num_folds)
    kind = StratifiedGroupKFold if classes else GroupKFold
    splitter = kind(num_folds, shuffle=True, random_state=seed)
    folds = list(_folds(splitter.split(np.empty(len(samples)), target, samples.groups)))
    if min(min(len(fold.train), len(fold.val)) for fold in folds) == 0:
        raise UserError.of("splits.groups-leave-fold-empty", groups=count, folds=num_folds)
    return folds


def _refuse_rare(target: np.ndarray, num_folds: int) -> None:
    rarest = int(np.unique(target, return_counts=True)[1].min())
    if rarest < num_folds:
        raise UserError.of("splits.rarest-class-too-small", folds=num_folds, rows=rarest)


def _by_time(rows: int, num_folds: int) -> Iterator[Fold]:
    from sklearn.model_selection import TimeSeriesSplit

    if rows <= num_folds:
        raise UserError.of("splits.too-few-rows-in-time", rows=rows, folds=num_folds)
    return _folds(TimeSeriesSplit(num_folds).split(np.empty(rows)))


def _given(fold_of: np.ndarray | None) -> Iterator[Fold]:
    from sklearn.model_selection import PredefinedSplit

    _, places = _folds_of(fold_of)
    return _folds(PredefinedSplit(places).split())


def _folds_of(fold_of: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Names of the folds, and the index of each row's fold; -1 if the row is always trained on."""
    if fold_of is None:
        raise UserError.of("splits.fold-column-missing")
    held = np.array([str(name) != ALWAYS_TRAINED for name in fold_of.tolist()])
    names, places = np.unique(fold_of[held], return_inverse=True)
    if len(names) < 2:
        raise UserError.of("splits.too-few-folds-in-column", folds=len(names))
    every = np.full(len(fold_of), -1)
    every[held] = places
    return names, every


def _folds(pairs: Iterable[Rows]) -> Iterator[Fold]:
    for train, val in pairs:
        yield Fold(train=np.sort(train).astype(np.int64), val=np.sort(val).astype(np.int64))


def _own_folds(
    function: SplitFunction, samples: Samples, num_folds: int, seed: int
) -> tuple[Fold, ...]:
    pairs = list(function(samples, num_folds, seed))
    if len(pairs) < 2:
        raise UserError.of("splits.too-few-own-folds", folds=len(pairs))
    checked = [_checked(pair, i, len(samples)) for i, pair in enumerate(pairs)]
    return tuple(_folds(checked))


def _checked(pair: Any, fold: int, rows: int) -> Rows:
    """Return a fold of the user's function as indices; masks of all rows are converted.

    Raises:
        UserError: If the fold is not a pair of arrays of rows, one of them is empty, or a row is
            out of range, repeated or in both arrays.
    """
    try:
        parts = tuple(np.asarray(part) for part in pair)
    except (TypeError, ValueError) as error:
        raise UserError.of("splits.own-fold-not-a-pair", fold=fold) from error
    masks = [part.dtype == bool and part.shape == (rows,) for part in parts]
    parts = tuple(np.flatnonzero(p) if mask else p for p, mask in zip(parts, masks, strict=True))
    if len(parts) != 2 or any(p.ndim != 1 or p.dtype.kind not in "iu" for p in parts if len(p)):
        raise UserError.of("splits.own-fold-not-a-pair", fold=fold)
    if not (len(parts[0]) and len(parts[1])):
        raise UserError.of("splits.own-fold-without-rows", fold=fold)
    every = np.concatenate(parts)
    outside = every[(every < 0) | (every >= rows)]
    if len(outside):
        raise UserError.of("splits.own-row-unknown", fold=fold, last=rows - 1, row=int(outside[0]))
    if len(np.unique(every)) < len(every):
        raise UserError.of("splits.own-fold-has-row-twice", fold=fold)
    return parts[0], parts[1]
