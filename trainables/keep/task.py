"""The task of a kept model, built from its record alone: it predicts, but has no training data."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from foldsweep.checks import brief, fits
from foldsweep.errors import UserError
from trainables.tasks.samples import Data, Samples
from trainables.tasks.table.schema import Schema
from trainables.tasks.task import Task


def task_of(record: Mapping[str, Any]) -> Task:
    """Build the task of a record, for data of a file or embedded data.

    Its data is one row of zeros in the recorded shapes, not for training: to train, read the data
    again.

    Raises:
        UserError: If the record is damaged, or a program defines its task.
    """
    from trainables.tasks.record import task_from_record  # pandas, which built-in tasks do not use

    schema = schema_of(record)
    for key, hint in (("outputs", int), ("name", str), ("digest", str), ("origin", dict)):
        if not fits(record.get(key), hint):
            raise UserError.of("keep-task.field-damaged", field=key, value=brief(record.get(key)))
    if schema is None:
        raise UserError.of("keep-task.task-of-a-program", task=record["name"])
    outputs = record["outputs"]
    shape = (1, outputs) if outputs > 1 and not schema.classes else (1,)
    target = np.zeros(shape, dtype=np.int64 if schema.classes else np.float64)
    data = Data(
        name=record["name"],
        train=Samples(inputs=_zeros(record), targets={_target(record): target}),
        test=None,
        own_digest=record["digest"],
        schema=schema,
        origin=record["origin"],
    )
    return task_from_record(record, data)


def schema_of(record: Mapping[str, Any]) -> Schema | None:
    """Columns of a table or layout of an array, from a task's record; None if it has no schema.

    Raises:
        UserError: If the record is damaged.
    """
    schema = record.get("schema")
    if schema is None:
        return None
    if not fits(schema, dict[str, Any]):
        raise UserError.of("keep-task.schema-damaged")
    return Schema.from_dict(schema)


def _target(record: Mapping[str, Any]) -> str:
    return str(record.get("target", "target"))


def _zeros(record: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """One row of zeros in the shapes and types of the recorded inputs."""
    inputs = record.get("inputs")
    try:
        return {name: np.zeros((1, *of["shape"]), of["dtype"]) for name, of in inputs.items()}  # type: ignore[union-attr]
    except (AttributeError, KeyError, TypeError, ValueError):
        raise UserError.of("keep-task.inputs-damaged", inputs=brief(inputs)) from None
