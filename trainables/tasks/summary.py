"""Summary of data: what the user is told about it before a sweep, a few lines."""

from collections.abc import Sequence

import numpy as np

from trainables.tasks.arrays import shape_told
from trainables.tasks.columns import Frame
from trainables.tasks.samples import Samples
from trainables.tasks.schema import Schema
from trainables.tasks.targets import counted
from trainables.tasks.task import Kind


def summary(
    train: Samples,
    *,
    test: Samples | None,
    schema: Schema,
    notes: Sequence[str],
    kind: Kind,
    why: str,
) -> str:
    """Rows, inputs, missing values, target and kind of task; statistics are of training rows.

    Args:
        train: Training rows.
        test: Test rows; None where none were set aside.
        schema: What the columns mean.
        notes: Lines about the file.
        kind: Kind of task.
        why: Why it is of that kind.
    """
    table = [_columns(schema), _missing(train)] if schema.layout == "table" else []
    array = [shape_told(schema)] if schema.layout in ("images", "array") else []
    target = [] if kind == "other" else [_target(train, schema)]
    lines = [_rows(train, test, schema), *table, *array, *target, *notes]
    return "\n".join([*lines, f"task: {kind}, {why} (choose with --task)"])


def _rows(train: Samples, test: Samples | None, schema: Schema) -> str:
    if test is None:
        return (
            f"rows: {len(train):,}, all to train on: with no test rows set aside nothing will tell"
            " the error on new data"
        )
    how = ", the latest" if schema.time else f", whole groups by {schema.group}" * bool(schema.group)
    total = len(train) + len(test)
    return f"rows: {total:,}; {len(train):,} to train on, {len(test):,} test rows set aside{how}"


def _columns(schema: Schema) -> str:
    used = f"{len(schema.numeric)} numeric, {len(schema.categorical)} categorical"
    kinds = {use: schema.named(use) for use in ("boolean", "date")}
    inside = [f"{name} as {_AS[use]}" for use, names in kinds.items() for name in names]
    left = [
        f"{len(names)} {word} ({_shortened(names)})"
        for use, word in _LEFT.items()
        if (names := schema.named(use))
    ]
    told = [f"columns: {used}", *([f"{_shortened(inside)}"] if inside else [])]
    return "; ".join([*told, *([f"left out: {', '.join(left)}"] if left else [])])


_AS = {"boolean": "0 and 1", "date": "days since 1970"}
_LEFT = {"constant": "constant", "identifier": "identifier-like", "dropped": "dropped"}


def _shortened(names: Sequence[str], most: int = 5) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


def _missing(train: Samples) -> str:
    counts = [
        test(train.inputs[name]).sum(0)
        for name, test in (("numeric", np.isnan), ("categories", lambda codes: codes < 0))
        if name in train.inputs
    ]
    missing = np.concatenate(counts)
    if not missing.any():
        return "missing values: none"
    return f"missing values: {missing.sum():,} in {np.count_nonzero(missing)} columns"


def _target(train: Samples, schema: Schema) -> str:
    values = train.targets["target"]
    if schema.classes:
        told = counted(values, schema.classes)
        return f"target {schema.target}: {len(schema.classes)} classes: {told}"
    if values.ndim > 1:
        return f"target {schema.target}: {values.shape[1]} numbers"
    low, middle, high = np.quantile(values, [0, 0.5, 1])
    return f"target {schema.target}: from {low:g} to {high:g}, median {middle:g}"



def told_of_new(frame: Frame, schema: Schema, of: str = "") -> tuple[str, ...]:
    """What new rows of a table have that the training rows do not, a line each.

    Args:
        frame: The new rows.
        schema: Schema of the training rows.
        of: Words that each line begins with.
    """
    if len(frame) == 0:
        return ()
    unknown = schema.unknown(frame)
    unseen = schema.unseen(frame)
    return (
        *([f"{of}ignored columns: {_shortened(unknown)}"] if unknown else []),
        *(f"{of}{n:,} values of {name} are in no training row" for name, n in unseen.items()),
    )
