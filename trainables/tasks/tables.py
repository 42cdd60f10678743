"""The user's own tables and arrays, as data and as tasks: files, embedded data, data frames."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from foldsweep import names
from foldsweep.checks import brief, described, fits
from foldsweep.errors import UserError
from trainables.tasks.options import TableOptions as TableOptions
from trainables.tasks.samples import Data
from trainables.tasks.table.arrays import frame_of, is_table
from trainables.tasks.table.assembly import Given, Plan, assembled, inputs_of
from trainables.tasks.table.columns import Frame, listed, nearest, text_columns
from trainables.tasks.table.embedded import EMBEDDED, TARGET, embedded
from trainables.tasks.table.reading import Arrays, Table, read_file
from trainables.tasks.table.rows import data_of as data_of
from trainables.tasks.table.rows import given_arrays, given_table, given_test
from trainables.tasks.table.schema import Column as Column
from trainables.tasks.table.schema import Schema as Schema
from trainables.tasks.table.summary import told_of_new
from trainables.tasks.table.targets import TaskKind
from trainables.tasks.task import GENERAL, Task


def table_task(
    options: TableOptions, *, seed: int, objective: str | None, more: Sequence[str] = ()
) -> Task:
    """Make the task of a file or of embedded data; `data.said` describes what was inferred.

    Args:
        options: Data to read, and how to split it.
        seed: Random seed for drawing test rows.
        objective: Short name of a metric, see `trainables.tasks.scores`; None for accuracy of a
            classification, R² of a regression.
        more: Short names of further objectives.

    Raises:
        UserError: If the file, its columns or the options cannot be used.
    """
    from trainables.tasks.kinds import classification, default_split, regression

    data = table_data(options, seed=seed)
    make = classification if data.schema.classes else regression
    general = objective is not None and names.val_key(objective) in _GENERAL
    metrics = [names.bare(name) for name in more if names.val_key(name) not in _GENERAL]
    classes = bool(data.schema.classes)
    split = default_split(data, classes=classes, repeats=options.repeats)
    objective_of = None if general else objective
    task = make(data.name, data, objective=objective_of, metrics=metrics, split=split)
    said = f"{data.said}\nobjective: {objective if general else task.objective}"
    return replace(task, data=replace(data, said=said))


_GENERAL = {names.val_key(key) for key in GENERAL}


def table_data(options: TableOptions, *, seed: int) -> Data:
    """Read the data of a file or embedded data.

    Raises:
        UserError: If the file, its columns or the options cannot be used.
    """
    if options.data is None:
        raise UserError.of("tables.data-unnamed")
    if options.data in EMBEDDED:
        return _data(embedded(options.data), options, name=options.data, seed=seed)
    path = Path(options.data)
    if not path.exists() and not path.suffix:
        hint = nearest(path.name, EMBEDDED)
        raise UserError.of(
            "tables.data-unknown", data=path.name, known=", ".join(EMBEDDED), hint=hint
        )
    return _data(read_file(path), options, name=_name_of(path), seed=seed)


def _name_of(path: Path) -> str:
    """Name of a file without its ending; `_` replaces characters that a task name cannot have."""
    return re.sub(r"[^\w.-]+", "_", path.stem)


def _data(read: Table | Arrays, options: TableOptions, *, name: str, seed: int) -> Data:
    if isinstance(read, Table) and options.target is None and read.sha256 is None:
        options = replace(options, target=TARGET)
    given, schema = _given(read, options)
    text = text_columns(read.frame) if isinstance(read, Table) else ()
    test = (
        None
        if options.test is None
        else read_file(
            options.test, text=text, commas=read.commas if isinstance(read, Table) else None
        )
    )
    plan = Plan(
        name=name,
        schema=schema,
        holdout=options.holdout,
        seed=seed,
        kind=options.task,
        drop=options.drop,
        text_numbers=isinstance(read, Table) and read.text_numbers,
        commas=read.commas if isinstance(read, Table) else {},
        notes=read.said if isinstance(read, Table) else (),
        choose="--task",
    )
    data = assembled(given, plan, None if test is None else given_test(test, schema))
    kind: TaskKind = "classification" if data.schema.classes else "regression"
    origin = {
        **asdict(replace(options, task=kind)),
        "test": None if options.test is None else str(options.test),
        "drop": list(options.drop),
        "seed": seed,
        "sha256": read.sha256,
        "test_sha256": None if test is None else test.sha256,
    }
    return replace(data, origin=origin)


def _given(read: Table | Arrays, options: TableOptions) -> tuple[Given, Schema]:
    if isinstance(read, Arrays):
        asked = [f"--{option}" for option, column in options.roles.items() if column is not None]
        asked += ["--drop"] * bool(options.drop)
        if asked:
            raise UserError.of("tables.no-columns", data=options.data, options=", ".join(asked))
        return given_arrays(read)
    if options.target is None:
        raise UserError.of("tables.target-unnamed", columns=listed([*read.frame.columns]))
    schema = Schema(
        target=options.target, group=options.group, time=options.time, fold=options.fold
    )
    return given_table(read.frame, schema), schema


def data_again(
    origin: Mapping[str, Any], *, path: Path | None = None, test_path: Path | None = None
) -> Data:
    """Read the same data again, from its recorded origin.

    Args:
        origin: `Data.origin` of a file or of embedded data.
        path: Path of the file [the recorded path].
        test_path: Path of the file of test rows [the recorded path].

    Raises:
        UserError: If the data has no origin, or a file is missing or its SHA-256 differs.
    """
    known = {f.name: f.type for f in fields(TableOptions)}
    needed = {*known, "seed", "sha256", "test_sha256"}
    if not needed <= set(origin) or not fits(origin["data"], str) or not fits(origin["seed"], int):
        raise UserError.of("tables.data-of-a-program")
    values = {name: origin[name] for name in known}
    values |= {"drop": tuple(values["drop"])}
    values |= {"data": str(path or values["data"])}
    test = test_path or values["test"]
    values |= {"test": None if test is None else Path(test)}
    for name, hint in known.items():
        if not fits(values[name], hint):
            raise UserError.of(
                "tables.origin-invalid", name=name, rule=described(hint), value=brief(values[name])
            )
    data = table_data(TableOptions(**values), seed=origin["seed"])
    for key, file in (("sha256", values["data"]), ("test_sha256", values["test"])):
        if data.origin[key] != origin[key]:
            raise UserError.of(
                "tables.file-differs", file=file, sha256=data.origin[key], recorded=origin[key]
            )
    name = origin["data"] if origin["sha256"] is None else _name_of(Path(origin["data"]))
    return replace(data, name=name, origin=dict(origin))


@dataclass(frozen=True, kw_only=True, eq=False)
class NewRows:
    """Rows to predict: inputs, and the data frame they were read from; None for arrays."""

    inputs: dict[str, np.ndarray]
    frame: Frame | None
    said: tuple[str, ...] = ()
    """Notes on anything unusual in the file, one line each."""


def new_rows(path: Path, schema: Schema) -> NewRows:
    """Read the rows of a new file; a target column is not needed.

    Args:
        path: File of the same kind as the training data, a table or arrays.
        schema: Schema of the training data.

    Raises:
        UserError: If the file cannot be read or lacks a column, or a value has the wrong type.
    """
    read = read_file(path, text=tuple(schema.categorical), commas=schema.commas)
    if isinstance(read, Arrays):
        given = frame_of(read.x) if is_table(read.x) else read.x
        return NewRows(inputs=inputs_of(given, schema), frame=None)
    if schema.layout != "table":
        raise UserError.of("tables.table-for-arrays", path=path)
    inputs = schema.inputs(read.frame)
    said = (*read.said, *told_of_new(read.frame, schema))
    return NewRows(inputs=inputs, frame=read.frame, said=said)
