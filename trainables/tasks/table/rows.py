"""Given rows: tables, arrays and values from a program, before anything is inferred."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from foldsweep.errors import UserError
from foldsweep.texts import text
from trainables.tasks.samples import UNNAMED, Data
from trainables.tasks.table.arrays import (
    array_schema,
    check_array,
    frame_of,
    is_table,
    named_arrays,
)
from trainables.tasks.table.assembly import Given, Plan, assembled, group_values, time_values
from trainables.tasks.table.columns import Frame, Series, listed, nearest
from trainables.tasks.table.reading import Arrays, Table
from trainables.tasks.table.schema import Schema, with_names
from trainables.tasks.table.targets import TaskKind


def given_table(frame: Frame, schema: Schema) -> Given:
    """Separate a table into inputs, target, groups and times.

    Args:
        frame: Data frame with unique column names.
        schema: Names of the columns that are not inputs.

    Raises:
        UserError: If one of these columns does not exist, or its values cannot be used.
    """
    roles = {"target": schema.target, "group": schema.group, "time": schema.time}
    for role, name in {**roles, "fold": schema.fold}.items():
        if name is not None and name not in frame.columns:
            known = text("rows.there-are", columns=listed([*frame.columns]))
            hint = nearest(name, frame.columns) or known
            raise UserError.of("rows.role-column-missing", role=role, column=name, hint=hint)
    return _apart(frame, schema)


def given_arrays(read: Arrays) -> tuple[Given, Schema]:
    """Return the rows of arrays, and a schema with their layout.

    Raises:
        UserError: If there is no target `y`, or values cannot be used.
    """
    if read.y is None:
        raise UserError.of("rows.target-array-missing")
    given, schema = _of_array(read.x, _target(read.y, "y"))
    if read.groups is None:
        return given, schema
    groups = group_values(_series(read.groups, "groups"))
    return replace(given, groups=groups), replace(schema, group="groups")


def given_test(read: Table | Arrays, schema: Schema) -> Given:
    """Return the rows of a test file, which must have the target and may have groups.

    Raises:
        UserError: If a table has no target column, the training rows are arrays but the file is a
            table, or arrays have no `y`.
    """
    if isinstance(read, Arrays):
        return given_arrays(read)[0]
    if schema.layout != "table" or schema.target not in read.frame.columns:
        raise UserError.of("rows.test-target-missing", target=schema.target)
    return _apart(read.frame, replace(schema, time=None, fold=None))


def _apart(frame: Frame, schema: Schema) -> Given:
    group, time = schema.group or schema.fold, schema.time
    roles = [name for name in (schema.target, group, time) if name in frame.columns]
    return Given(
        inputs=frame.drop(columns=roles),
        target=frame[schema.target],
        groups=group_values(frame[group]) if group in frame.columns else None,
        times=None if time is None else time_values(frame[time]),
    )


def data_of(
    inputs: Any,
    target: Any,
    *,
    name: str = UNNAMED,
    holdout: float = 0.2,
    seed: int = 0,
    groups: Any = None,
    time: Any = None,
    test: tuple[Any, Any] | None = None,
    kind: TaskKind | None = None,
) -> Data:
    """Make data from a data frame or arrays, and set test rows aside; see `Data.of`.

    Args:
        inputs: Data frame of n rows; array (n, ...), where (n, p) is a table; or arrays by name.
        target: n classes or numbers, numbers (n, t), or arrays by name.
        name: Name of the data, recorded with every result.
        holdout: Share of rows to set aside as test rows; 0 for none.
        seed: Random seed for drawing test rows.
        groups: Group of each row, or name of a column of the data frame; rows of a group stay
            together.
        time: Time of each row, or name of a column of the data frame; the latest rows are the
            test rows.
        test: Inputs and target of the test rows, in place of `holdout`.
        kind: Kind of task [inferred from the target].

    Raises:
        UserError: If a column, the target or an option cannot be used.
    """
    if groups is not None and time is not None:
        raise UserError.of("rows.groups-and-time")
    given, schema = _of_values(inputs, target)
    if groups is not None:
        given, column, series = _role(given, groups, "groups")
        given, schema = replace(given, groups=group_values(series)), replace(schema, group=column)
    if time is not None:
        given, column, series = _role(given, time, "time")
        given, schema = replace(given, times=time_values(series)), replace(schema, time=column)
    plan = Plan(name=name, schema=schema, holdout=holdout, seed=seed, kind=kind)
    return assembled(given, plan, None if test is None else _of_values(*test)[0])


def _of_values(inputs: Any, target: Any) -> tuple[Given, Schema]:
    """Return the rows of values from a program, and a schema with their layout."""
    import pandas as pd

    read = named_arrays(target) if isinstance(target, Mapping) else _target(target, "target")
    if isinstance(inputs, pd.DataFrame):
        frame = with_names(inputs.reset_index(drop=True))
        return _same_rows(Given(inputs=frame, target=read)), Schema(target=_name(read))
    if isinstance(inputs, Mapping):
        given = Given(inputs=named_arrays(inputs), target=read)
        return _same_rows(given), Schema(layout="own", target=_name(read))
    given, schema = _of_array(np.asarray(inputs), read)
    return _same_rows(given), schema


def _of_array(x: np.ndarray, target: Any) -> tuple[Given, Schema]:
    if is_table(x):
        return Given(inputs=frame_of(x), target=target), Schema(target=_name(target))
    check_array(x, "x")
    return Given(inputs=x, target=target), replace(array_schema(x), target=_name(target))


def _name(target: Any) -> str:
    return "target" if isinstance(target, np.ndarray | dict) else str(target.name)


def _same_rows(given: Given) -> Given:
    inputs = given.inputs.values() if isinstance(given.inputs, dict) else [given.inputs]
    targets = given.target.values() if isinstance(given.target, dict) else [given.target]
    sizes = sorted({len(part) for part in [*inputs, *targets]})
    if len(sizes) > 1:
        raise UserError.of("rows.row-counts-differ", sizes=sizes)
    return given


def _role(given: Given, values: Any, role: str) -> tuple[Given, str, Series]:
    """Return the rows without the column of a role, the name of the column, and its values."""
    if not isinstance(values, str):
        series = _series(values, role)
        if len(series) != len(given):
            raise UserError.of(
                "rows.role-length-differs", role=role, rows=len(given), values=len(series)
            )
        return given, role, series
    frame = given.inputs
    if isinstance(frame, np.ndarray | dict) or values not in frame.columns:
        raise UserError.of("rows.role-column-unknown", role=role, column=values)
    return replace(given, inputs=frame.drop(columns=values)), values, frame[values]


def _target(values: Any, name: str) -> Series | np.ndarray:
    """Convert a target to a series, or to numbers (n, t) if it has several columns."""
    import pandas as pd

    if isinstance(values, pd.Series):
        return _series(values, name)
    columns = (
        [str(column) for column in values.columns] if isinstance(values, pd.DataFrame) else []
    )
    array = np.asarray(values)
    if array.ndim == 2 and array.shape[1] > 1:
        check_array(array, name)
        return array.astype(np.float64)
    return _series(array.reshape(len(array)) if array.ndim == 2 else array, [*columns, name][0])


def _series(values: Any, name: str) -> Series:
    """Convert one value per row to a series; a series keeps its own name if it has one."""
    import pandas as pd

    if isinstance(values, pd.Series):
        own = values.reset_index(drop=True)
        return own.rename(name if own.name is None else str(own.name))
    array = np.asarray(values)
    if array.ndim != 1:
        raise UserError.of("rows.not-one-per-row", name=name, shape=array.shape)
    try:
        return pd.Series(array, name=name)
    except UnicodeEncodeError:
        raise UserError.of("rows.lone-surrogates", name=name) from None
