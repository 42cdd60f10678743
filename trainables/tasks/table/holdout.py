"""Hold-out: which rows are set aside for the test, before anything looks at them."""

from typing import Any

import numpy as np
from jaxtyping import Int64

from foldsweep.errors import UserError
from trainables.tasks.splits import check_seed

Apart = tuple[Int64[np.ndarray, " t"], Int64[np.ndarray, " s"]]
"""Indices of training rows and of test rows."""
MIN_ROWS = 10
"""Fewest rows to cross-validate on."""


def check_holdout(holdout: float) -> None:
    """Refuse a share that leaves no training rows or is none.

    Raises:
        UserError: If it is not at least 0 and below 1.
    """
    if not 0 <= holdout < 1:
        raise UserError(f"holdout must be at least 0 and below 1, but is {holdout:g}")


def check_rows(rows: int) -> None:
    """Refuse too few rows.

    Raises:
        UserError: If there are fewer than `MIN_ROWS`.
    """
    if rows < MIN_ROWS:
        raise UserError(f"{rows} rows are too few: at least {MIN_ROWS} are needed to train on")


def rows_apart(
    rows: int,
    *,
    holdout: float,
    seed: int,
    classes: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    by_time: bool = False,
) -> Apart:
    """Training rows and test rows, in order.

    By time the last rows are the test; with groups whole groups are drawn; otherwise rows are
    drawn so that every class has its share in both parts, as scikit-learn's `train_test_split`
    does with the same seed.

    Args:
        rows: Number of rows, sorted by time if they have one.
        holdout: Share of rows, or of groups, to set aside; at least 0 and below 1.
        seed: Seed of the draw.
        classes: Class of each row; None where the target is a number.
        groups: Group of each row.
        by_time: Whether the rows' order is time.

    Raises:
        UserError: If too few rows or groups are left, or a class has too few rows.
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
    if rows - test_rows < MIN_ROWS:
        raise UserError(
            f"{rows} rows, of which {test_rows} are set aside, leave {rows - test_rows} to train"
            f" on: at least {MIN_ROWS} are needed"
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
    """Refuse what cannot be stratified.

    Raises:
        UserError: If there are fewer test or training rows than classes.
    """
    labels = np.unique(classes)
    if min(test_rows, len(classes) - test_rows) < len(labels):
        raise UserError(
            f"holdout sets {test_rows} of {len(classes)} rows aside, but each part needs a row"
            f" of each of {len(labels)} classes"
        )


def _whole_groups(groups: np.ndarray, holdout: float, seed: int) -> Apart:
    from sklearn.model_selection import GroupShuffleSplit

    count = len(np.unique(groups))
    if count < 3:
        raise UserError(
            f"there are {count} groups: setting whole groups aside and cross-validating on the"
            " rest takes at least 3; or set none aside (holdout 0)"
        )
    share = min(max(holdout, 1 / count), 1 - 1 / count)
    splitter: Any = GroupShuffleSplit(n_splits=1, test_size=share, random_state=seed)
    train, test = next(splitter.split(groups, groups=groups))
    return np.sort(train), np.sort(test)
