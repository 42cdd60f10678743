"""Shapes of inputs as plain values, with which a kept model is rebuilt without its data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from foldsweep.checks import brief, fits
from foldsweep.errors import UserError
from trainables.tasks.samples import Data
from trainables.tasks.task import Shapes, Task

DTYPES = tuple(np.dtype(code).name for code in "?bBhHiIlLefd")
"""Names of the dtypes that inputs may have."""


@dataclass(frozen=True, kw_only=True)
class RawInput:
    """Shape and dtype of one raw input, as in training."""

    shape: tuple[int, ...]
    """Shape of one row."""
    dtype: str

    def array(self, name: str, given: Any) -> np.ndarray:
        """Convert a new input to this dtype, (n, *shape).

        Args:
            name: Name of the input.
            given: Values of the input.

        Raises:
            UserError: If the shape differs, there are no rows, or values are not numbers or not
                finite. NaN is allowed in `numeric`.
        """
        array = np.asarray(given)
        if array.shape[1:] != self.shape or array.ndim == 0 or len(array) == 0:
            wanted = ", ".join(map(str, ("n", *self.shape)))
            raise UserError.of("shapes.other-shape", input=name, wanted=wanted, shape=array.shape)
        if array.dtype.kind not in "uifb":
            raise UserError.of("shapes.input-not-numbers", input=name, dtype=array.dtype)
        missing_allowed = name == "numeric"  # NaN means missing in a table
        if array.dtype.kind == "f" and not missing_allowed and not np.isfinite(array).all():
            raise UserError.of("shapes.input-not-finite", input=name)
        return np.ascontiguousarray(array, dtype=self.dtype)


def inputs_record(task: Task, data: Data) -> dict[str, Any]:
    """Return the shapes of a task's inputs as plain values, for `raw_inputs` and `shapes_of`."""
    shapes = task.shapes(data)
    raw = {
        name: {"shape": list(array.shape[1:]), "dtype": array.dtype.name}
        for name, array in data.train.inputs.items()
    }
    encoded = {name: list(shape) for name, shape in shapes.inputs.items()}
    return {
        "inputs": raw,
        "encoded": encoded,
        "outputs": shapes.outputs,
        "levels": list(shapes.levels),
    }


def raw_inputs(record: Mapping[str, Any], task: Task) -> dict[str, RawInput]:
    """Return the raw inputs of a record; for an empty record, those of `Task.row_shapes`.

    Raises:
        UserError: If the record is damaged.
    """
    if not record:
        return {k: RawInput(shape=v, dtype="float32") for k, v in task.row_shapes.items()}
    named = record.get("inputs")
    if not fits(named, dict[str, dict]) or not named:
        raise UserError.of("shapes.record-without-inputs")
    found = {}
    for name, value in named.items():
        shape, dtype = value.get("shape"), value.get("dtype")
        if not fits(shape, list[int]) or dtype not in DTYPES:
            raise UserError.of("shapes.recorded-input-invalid", input=name, value=brief(value))
        found[name] = RawInput(shape=tuple(shape), dtype=dtype)
    return found


def shapes_of(record: Mapping[str, Any], task: Task, schema: Any = None) -> Shapes:
    """Return the shapes that a model of a recorded task is built for.

    Raises:
        UserError: If the record is damaged.
    """
    if not record:
        return Shapes(inputs=task.row_shapes, outputs=task.outputs)
    encoded, levels = record.get("encoded"), record.get("levels")
    whole = fits(encoded, dict[str, list[int]]) and fits(levels, list[int])
    if not whole or not fits(record.get("outputs"), int):
        raise UserError.of("shapes.record-without-shapes")
    return Shapes(
        inputs={name: tuple(shape) for name, shape in (encoded or {}).items()},
        outputs=record["outputs"],
        levels=tuple(levels or ()),
        schema=schema,
    )
