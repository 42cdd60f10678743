"""Targets: whether a column is classes or a number, what its classes are, and their codes."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float64, Int64

from foldsweep.errors import UserError
from trainables.tasks.table.columns import Series, as_numbers, distinct, listed, refuse_at, shown
from trainables.tasks.table.schema import Label

TaskKind = Literal["classification", "regression"]

MOST_CLASSES = 20
"""Whole numbers with more values than this are taken for a number to predict."""
ROWS_A_CLASS = 10
"""Whole numbers are taken for classes if each has at least so many rows on average."""


def kind_of(target: Series, kind: TaskKind | None) -> tuple[TaskKind, str]:
    """The kind of task that a target asks for, and why; `kind` overrules.

    Text and booleans are classes, fractions a number. Whole numbers are classes if there are two,
    or at most `MOST_CLASSES` with `ROWS_A_CLASS` rows each on average.

    Raises:
        UserError: If values are missing, or the target cannot be of the kind asked for.
    """
    refuse_missing(target)
    values = sorted_labels(target)
    numeric = all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in values
    )
    if kind == "regression" and not numeric:
        raise UserError(
            f"a regression predicts numbers, but target {target.name!r} holds {listed(values)}"
        )
    found, why = _guess(values, len(target), numeric)
    return (found, why) if kind is None else (kind, "as asked for")


def _guess(values: Sequence[Label], rows: int, numeric: bool) -> tuple[TaskKind, str]:
    if not numeric:
        return "classification", "since the target is not a number"
    if any(isinstance(value, float) and not value.is_integer() for value in values):
        return "regression", "since the target has fractions"
    few = len(values) <= max(2, min(MOST_CLASSES, rows // ROWS_A_CLASS))
    kind: TaskKind = "classification" if few else "regression"
    return kind, f"since the target has {len(values)} different whole numbers"


def refuse_missing(target: Series) -> None:
    """Refuse a target with missing values.

    Raises:
        UserError: Saying how many and where the first one is.
    """
    missing = target.isna().to_numpy()
    if missing.any():
        raise UserError(
            f"target {target.name!r} is missing in {missing.sum()} of {len(target)} rows, first in"
            f" row {missing.argmax() + 1}: remove these rows (an empty cell, NA, null and None are"
            " missing values)"
        )


def sorted_labels(target: Series) -> tuple[Label, ...]:
    """The values of a target as plain Python, sorted; numbers before text.

    Raises:
        UserError: If a value is neither text nor number nor boolean.
    """
    values = distinct(target)[1]
    odd = [value for value in values if not isinstance(value, str | int | float | bool)]
    if odd:
        raise UserError(
            f"target {target.name!r} holds {odd[0]!r}: it must be text, numbers or true and false"
        )
    return tuple(sorted(values, key=lambda value: (isinstance(value, str), value)))


def class_labels(target: Series) -> tuple[Label, ...]:
    """The classes of a target, sorted; their places are their codes.

    Raises:
        UserError: If there is one class, or most rows have a class of their own.
    """
    labels = sorted_labels(target)
    if len(labels) == 1:
        raise UserError(f"target {target.name!r} has one class, {labels[0]!r}: nothing to learn")
    if len(labels) > len(target) / 2:
        raise UserError(
            f"target {target.name!r} has {len(labels)} classes in {len(target)} rows: too few rows"
            " of each; choose another target, or a regression if it is a number"
        )
    return labels


def class_codes(target: Series, classes: Sequence[Label]) -> Int64[np.ndarray, " n"]:
    """Code of each row's class.

    Raises:
        UserError: If a row's class is none of `classes`.
    """
    refuse_missing(target)
    place = {label: code for code, label in enumerate(classes)}
    places, values = distinct(target)
    coded = np.array([place.get(value, -1) for value in values], dtype=np.int64)[places]
    refuse_at(
        coded < 0, target, f"is a class that no training row has; they have {listed(classes)}"
    )
    return coded


def target_values(target: Series) -> Float64[np.ndarray, " n"]:
    """Numbers to predict.

    Raises:
        UserError: If a value is missing, no number or not finite.
    """
    refuse_missing(target)
    return as_numbers(target, "number")


def refuse_constant(values: Float64[np.ndarray, " n *t"], name: str) -> None:
    """Refuse numbers to predict that are all the same.

    Raises:
        UserError: If they are.
    """
    if (values == values[:1]).all():
        raise UserError(f"target {name!r} is {values.flat[0]:g} in every row: nothing to learn")


def counted(codes: Int64[np.ndarray, " n"], classes: Sequence[Label]) -> str:
    """Classes with their counts, for a message."""
    counts = np.bincount(codes, minlength=len(classes))
    told = [f"{shown(label)} {count:,}" for label, count in zip(classes, counts, strict=True)]
    rest = [f"{len(told) - 10} more"] if len(told) > 12 else []
    return ", ".join(told[: 10 if rest else None] + rest)
