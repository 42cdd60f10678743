"""A task from rows in memory."""

from dataclasses import replace
from pathlib import PurePath
from typing import Any, Literal

from foldsweep.errors import UserError
from trainables.tasks.kinds import classification, regression
from trainables.tasks.samples import Data
from trainables.tasks.task import Task

ORIGIN = {"given": "foldsweep.table"}
"""Origin of data, for the record: the record and the rows are the whole task, so a model needs no
code of the user's program."""


def table(
    inputs: Any,
    target: Any,
    kind: Literal["classification", "regression"] | None = None,
    *,
    name: str = "table",
    objective: str | None = None,
    **options: Any,
) -> Task:
    """Make a task from a table or arrays; short for `classification` or `regression` of `Data.of`.

    Args:
        inputs: A data frame of columns, an array (n, ...), or a mapping of arrays by name.
        target: A series or array of n classes or values.
        kind: Kind of task [inferred from the target].
        name: Name of the task, recorded with every result.
        objective: Metric that sweeps optimise, such as roc_auc [accuracy, or r2].
        options: Options of `Data.of`: `holdout`, `groups`, `time`, `seed`, `test`.

    Raises:
        UserError: If a column, the target or an option cannot be used, or `inputs` is a path.
    """
    if isinstance(inputs, str | PurePath):
        raise UserError.of("api-table.path", path=str(inputs))
    data = Data.of(inputs, target, kind=kind, name=name, **options)
    data = replace(data, origin=ORIGIN)
    make = classification if data.schema.classes else regression
    return make(name, data, objective=objective)
