"""Hold-out: which rows are set aside as test rows, before anything else uses them."""

from typing import Any

import numpy as np
from jaxtyping import Int64

from foldsweep.errors import UserError
from trainables.tasks.splits import check_seed

Apart = tuple[Int64[np.ndarray, " t"], Int64[np.ndarray, " s"]]
"""Indices of training rows and of test rows."""
MIN_ROWS = 10
"""Smallest number of training rows to cross-validate on."""


def check_holdout(holdout: float) -> None:
    """Refuse a hold-out share that is negative or leaves no training rows.

    Raises:
        UserError: If the share is not at least 0 and below 1.
    """
    if not 0 <= holdout < 1:
        raise UserError.of("holdout.share-out-of-range", holdout=holdout)


def check_rows(rows: int) -> None:
    """Refuse data with too few rows.

    Raises:
        UserError: If there are fewer than `MIN_ROWS`.
    """
    if rows < MIN_ROWS:
        raise UserError.of("holdout.too-few-rows", rows=rows, least=MIN_ROWS)


def rows_apart(
    rows: int,
    *,
    holdout: float,
    seed: int,
    classes: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    by_time: bool = False,
) -> Apart:
    """Split rows into training and test rows; the indices of both are sorted.

    With `by_time` the last rows are the test rows. With groups, whole groups are drawn.
    Otherwise rows are drawn, stratified by class, and are the same as those of scikit-learn's
    `train_test_split` with the same seed.

    Args:
        rows: Number of rows, which are sorted by time if they have times.
        holdout: Share of rows, or of groups, to set aside; at least 0 and below 1.
        seed: Random seed.
        classes: Class of each row; None if the target is a number.
        groups: Group of each row; None if there are no groups.
        by_time: Whether the order of rows is time.

    Raises:
        UserError: If too few rows or groups are left, or there are fewer training or test rows
            than classes.
    """
    check_holdout(holdout)
    check_seed(seed)
    check_rows(rows)
    every = np.arange(rows)
    if holdout == 0:
        train, test = every, every[:0]
    elif by_time:
        cut = rows - int(np.ceil(rows * holdout))
        train, test = every[:cut], every[cut:]
    elif groups is not None:
        train, test = _whole_groups(groups, holdout, seed)
    else:
        train, test = _drawn(every, classes, holdout, seed)
    _check_left(rows, len(test))
    return train, test


def _check_left(rows: int, test_rows: int) -> None:
    left = rows - test_rows
    if left < MIN_ROWS:
        raise UserError.of(
            "holdout.too-few-left", rows=rows, test=test_rows, left=left, least=MIN_ROWS
        )


def _drawn(
    every: Int64[np.ndarray, " n"], classes: np.ndarray | None, holdout: float, seed: int
) -> Apart:
    from sklearn.model_selection import train_test_split

    test_rows = int(np.ceil(len(every) * holdout))
    _check_left(len(every), test_rows)
    if classes is not None:
        _check_classes(classes, test_rows)
    train, test = train_test_split(
        every, test_size=holdout, random_state=seed, stratify=classes, shuffle=True
    )
    return np.sort(train), np.sort(test)


def _check_classes(classes: np.ndarray, test_rows: int) -> None:
    """Refuse a hold-out that cannot be stratified.

    Raises:
        UserError: If there are fewer test or training rows than classes.
    """
    labels = np.unique(classes)
    if min(test_rows, len(classes) - test_rows) < len(labels):
        raise UserError.of(
            "holdout.fewer-than-classes", test=test_rows, rows=len(classes), classes=len(labels)
        )


def _whole_groups(groups: np.ndarray, holdout: float, seed: int) -> Apart:
    from sklearn.model_selection import GroupShuffleSplit

    count = len(np.unique(groups))
    if count < 3:
        raise UserError.of("holdout.too-few-groups", groups=count)
    share = min(max(holdout, 1 / count), 1 - 1 / count)
    splitter: Any = GroupShuffleSplit(n_splits=1, test_size=share, random_state=seed)
    train, test = next(splitter.split(groups, groups=groups))
    return np.sort(train), np.sort(test)
