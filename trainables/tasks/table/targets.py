"""Targets: whether a column is classes or numbers, and the codes of its classes."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float64, Int64

from foldsweep.errors import UserError
from foldsweep.texts import text
from trainables.tasks.table.columns import Series, as_numbers, distinct, listed, refuse_at, shown
from trainables.tasks.table.schema import Label

TaskKind = Literal["classification", "regression"]

MOST_CLASSES = 20
"""Largest number of distinct whole numbers that are taken for classes; more are a regression."""
ROWS_A_CLASS = 10
"""Smallest average number of rows per class for which whole numbers are taken for classes."""


def kind_of(target: Series, kind: TaskKind | None) -> tuple[TaskKind, str]:
    """Infer the kind of task from the target; return the kind and the reason for it.

    Text and booleans are classes, fractions are a regression. Whole numbers are classes if at
    most two are distinct, or at most `MOST_CLASSES` with `ROWS_A_CLASS` rows each on average.

    Args:
        target: The target of all rows.
        kind: Requested kind, which overrules the inferred one; None to infer it.

    Raises:
        UserError: If values are missing, or a regression is requested for a target that is not
            numbers.
    """
    refuse_missing(target)
    values = sorted_labels(target)
    numeric = all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in values
    )
    if kind == "regression" and not numeric:
        raise UserError.of(
            "targets.regression-of-words", target=target.name, values=listed(values)
        )
    found, why = _guess(values, len(target), numeric)
    return (found, why) if kind is None else (kind, text("targets.kind-requested"))


def _guess(values: Sequence[Label], rows: int, numeric: bool) -> tuple[TaskKind, str]:
    if not numeric:
        return "classification", text("targets.not-a-number")
    if any(isinstance(value, float) and not value.is_integer() for value in values):
        return "regression", text("targets.fractions")
    few = len(values) <= max(2, min(MOST_CLASSES, rows // ROWS_A_CLASS))
    kind: TaskKind = "classification" if few else "regression"
    return kind, text("targets.whole-numbers", number=len(values))


def refuse_missing(target: Series) -> None:
    """Refuse a target with missing values.

    Raises:
        UserError: If values are missing; the message gives their number and the first row.
    """
    missing = target.isna().to_numpy()
    if missing.any():
        raise UserError.of(
            "targets.values-missing",
            target=target.name,
            missing=int(missing.sum()),
            rows=len(target),
            row=int(missing.argmax()) + 1,
        )


def sorted_labels(target: Series) -> tuple[Label, ...]:
    """Distinct values of a target as plain Python values, sorted; numbers before text.

    Raises:
        UserError: If a value is not text, a number or a boolean.
    """
    values = distinct(target)[1]
    odd = [value for value in values if not isinstance(value, str | int | float | bool)]
    if odd:
        raise UserError.of("targets.value-type-unusable", target=target.name, value=odd[0])
    return tuple(sorted(values, key=lambda value: (isinstance(value, str), value)))


def class_labels(target: Series) -> tuple[Label, ...]:
    """Classes of a target, sorted; the code of a class is its index.

    Raises:
        UserError: If there is one class only, or more classes than half of the rows.
    """
    labels = sorted_labels(target)
    if len(labels) == 1:
        raise UserError.of("targets.one-class", target=target.name, label=labels[0])
    if len(labels) > len(target) / 2:
        raise UserError.of(
            "targets.too-many-classes", target=target.name, classes=len(labels), rows=len(target)
        )
    return labels


def class_codes(target: Series, classes: Sequence[Label]) -> Int64[np.ndarray, " n"]:
    """Code of each row's class, its index in `classes`.

    Raises:
        UserError: If the class of a row is missing or not in `classes`.
    """
    refuse_missing(target)
    place = {label: code for code, label in enumerate(classes)}
    places, values = distinct(target)
    coded = np.array([place.get(value, -1) for value in values], dtype=np.int64)[places]
    refuse_at(coded < 0, target, text("targets.class-unknown", known=listed(classes)))
    return coded


def target_values(target: Series) -> Float64[np.ndarray, " n"]:
    """Numbers to predict.

    Raises:
        UserError: If a value is missing, not a number, or not finite.
    """
    refuse_missing(target)
    return as_numbers(target, "number")


def refuse_constant(values: Float64[np.ndarray, " n *t"], name: str) -> None:
    """Refuse numbers to predict that are all the same.

    Raises:
        UserError: If all numbers are the same.
    """
    if (values == values[:1]).all():
        raise UserError.of("targets.one-number", target=name, value=values.flat[0])


def counted(codes: Int64[np.ndarray, " n"], classes: Sequence[Label]) -> str:
    """Describe the classes and their numbers of rows, for a message."""
    counts = np.bincount(codes, minlength=len(classes))
    told = [f"{shown(label)} {count:,}" for label, count in zip(classes, counts, strict=True)]
    rest = [f"{len(told) - 10} more"] if len(told) > 12 else []
    return ", ".join(told[: 10 if rest else None] + rest)
