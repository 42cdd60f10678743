"""Summary of data: a few lines that are printed for the user before a sweep."""

from collections.abc import Sequence

import numpy as np

from foldsweep.numbers import plural
from foldsweep.texts import text
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
    return "\n".join([*lines, text("table-summary.task", task=kind, why=why)])


def _rows(train: Samples, test: Samples | None, schema: Schema, drawn: bool) -> str:
    if test is None:
        return text("table-summary.all-to-train", rows=len(train))
    return text(
        "table-summary.rows",
        rows=len(train) + len(test),
        train=len(train),
        test=len(test),
        how=_how(schema) if drawn else text("table-summary.own-file"),
    )


def _how(schema: Schema) -> str:
    if schema.time is not None:
        return text("table-summary.latest", column=shown(schema.time))
    if schema.group is not None:
        return text("table-summary.whole-groups", column=shown(schema.group))
    return text("table-summary.stratified" if schema.classes else "table-summary.at-random")


def _columns(schema: Schema) -> str:
    numeric, categorical = len(schema.numeric), len(schema.categorical)
    inside = [
        *(text("table-summary.boolean", column=name) for name in schema.named("boolean")),
        *(text("table-summary.date", column=name) for name in schema.named("date")),
    ]
    left = [
        f"{len(names)} {word} ({_shortened(names)})"
        for use, word in _LEFT.items()
        if (names := schema.named(use))
    ]
    told = [text("table-summary.columns", numeric=numeric, categorical=categorical)]
    if inside:
        told.append(_shortened(inside))
    if left:
        told.append(text("table-summary.left-out", columns=", ".join(left)))
    return "; ".join(told)


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
        return text("table-summary.none-missing")
    columns = plural(int(np.count_nonzero(missing)), "column")
    return text("table-summary.missing", values=int(missing.sum()), columns=columns)


def _target(train: Samples, schema: Schema) -> str:
    values, target = train.targets["target"], shown(schema.target)
    if schema.classes:
        counts, classes = counted(values, schema.classes), len(schema.classes)
        return text("table-summary.classes", target=target, classes=classes, counts=counts)
    if values.ndim > 1:
        return text("table-summary.numbers", target=target, numbers=values.shape[1])
    low, middle, high = np.quantile(values, [0, 0.5, 1])
    return text("table-summary.range", target=target, low=low, high=high, median=middle)


def told_of_new(frame: Frame, schema: Schema) -> tuple[str, ...]:
    """Describe columns and categories of new rows that the training rows do not have.

    Args:
        frame: The new rows.
        schema: Schema of the training rows.

    Returns:
        One line for all unknown columns, and one for each column with unseen categories.
    """
    if len(frame) == 0:
        return ()
    unknown = schema.unknown(frame)
    ignored = [text("table-summary.ignored", columns=_shortened(unknown))] if unknown else []
    unseen = [
        text("table-summary.unseen", column=shown(name), values=number)
        for name, number in schema.unseen(frame).items()
    ]
    return (*ignored, *unseen)
