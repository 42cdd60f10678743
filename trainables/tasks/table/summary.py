"""Summary of data: a few lines that are printed for the user before a sweep."""

from collections.abc import Sequence

import numpy as np

from foldsweep.numbers import plural
from trainables.tasks.samples import CATEGORIES, Samples
from trainables.tasks.table.arrays import shape_told
from trainables.tasks.table.columns import Frame, Use, shown
from trainables.tasks.table.schema import Schema
from trainables.tasks.table.targets import counted
from trainables.tasks.task import Kind


def summary(
    train: Samples,
    *,
    test: Samples | None,
    schema: Schema,
    notes: Sequence[str],
    kind: Kind,
    why: str,
    drawn: bool,
) -> str:
    """Describe rows, inputs, missing values, target and kind of task.

    Statistics are those of the training rows.

    Args:
        train: Training rows.
        test: Test rows; None if none were set aside.
        schema: Schema of the training rows.
        notes: Lines about the file.
        kind: Kind of task.
        why: Reason for this kind.
        drawn: Whether the test rows were set aside from the given rows, and not given apart.
    """
    table = [_columns(schema), _missing(train)] if schema.layout == "table" else []
    array = [shape_told(schema)] if schema.layout in ("images", "array") else []
    target = [] if kind == "other" else [_target(train, schema)]
    lines = [_rows(train, test, schema, drawn), *table, *array, *target, *notes]
    return "\n".join([*lines, f"task: {kind}, {why}"])


def _rows(train: Samples, test: Samples | None, schema: Schema, drawn: bool) -> str:
    if test is None:
        return (
            f"rows: {len(train):,}, all to train on: without test rows, the error on new data is"
            " not measured"
        )
    total = len(train) + len(test)
    how = _how(schema) if drawn else "a file of their own"
    return (
        f"rows: {total:,}: {len(train):,} to train on, {len(test):,} test rows set aside ({how})"
    )


def _how(schema: Schema) -> str:
    if schema.time is not None:
        return f"the latest by {shown(schema.time)}"
    if schema.group is not None:
        return f"whole groups by {shown(schema.group)}"
    return "stratified" if schema.classes else "drawn at random"


def _columns(schema: Schema) -> str:
    used = f"{len(schema.numeric)} numeric, {len(schema.categorical)} categorical"
    inside = [f"{name} as {how}" for use, how in _AS.items() for name in schema.named(use)]
    left = [
        f"{len(names)} {word} ({_shortened(names)})"
        for use, word in _LEFT.items()
        if (names := schema.named(use))
    ]
    told = [f"columns: {used}", *([_shortened(inside)] if inside else [])]
    return "; ".join([*told, *([f"left out: {', '.join(left)}"] if left else [])])


_AS: dict[Use, str] = {"boolean": "0 and 1", "date": "days since 1970"}
_LEFT: dict[Use, str] = {
    "constant": "constant",
    "identifier": "identifier-like",
    "dropped": "dropped",
}


def _shortened(names: Sequence[str], most: int = 5) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(shown, names[:most])) + rest


def _missing(train: Samples) -> str:
    counts = [
        test(train.inputs[name]).sum(0)
        for name, test in (("numeric", np.isnan), (CATEGORIES, lambda codes: codes < 0))
        if name in train.inputs
    ]
    missing = np.concatenate(counts)
    if not missing.any():
        return "missing values: none"
    columns = plural(int(np.count_nonzero(missing)), "column")
    return f"missing values: {missing.sum():,} in {columns}"


def _target(train: Samples, schema: Schema) -> str:
    values = train.targets["target"]
    if schema.classes:
        told = counted(values, schema.classes)
        return f"target {shown(schema.target)}: {len(schema.classes)} classes: {told}"
    if values.ndim > 1:
        return f"target {shown(schema.target)}: {values.shape[1]} numbers"
    low, middle, high = np.quantile(values, [0, 0.5, 1])
    return f"target {shown(schema.target)}: from {low:g} to {high:g}, median {middle:g}"


def told_of_new(frame: Frame, schema: Schema, of: str = "") -> tuple[str, ...]:
    """Describe columns and categories of new rows that the training rows do not have.

    Args:
        frame: The new rows.
        schema: Schema of the training rows.
        of: Prefix of each line.

    Returns:
        One line for all unknown columns, and one for each column with unseen categories.
    """
    if len(frame) == 0:
        return ()
    unknown = schema.unknown(frame)
    unseen = schema.unseen(frame)
    return (
        *([f"{of}ignored columns: {_shortened(unknown)}"] if unknown else []),
        *(
            f"{of}values of {shown(name)} that no training row has: {n:,}"
            for name, n in unseen.items()
        ),
    )
