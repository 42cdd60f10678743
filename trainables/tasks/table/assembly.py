"""Assembly of data from given rows: test rows are set aside before columns are inferred."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float64

from foldsweep.errors import UserError
from foldsweep.texts import text
from trainables.tasks.samples import Data, Samples
from trainables.tasks.table.arrays import array_inputs
from trainables.tasks.table.columns import (
    Frame,
    Series,
    days,
    distinct,
    listed,
    numbers,
    refuse_at,
    word,
)
from trainables.tasks.table.holdout import check_rows, rows_apart
from trainables.tasks.table.inference import columns_of
from trainables.tasks.table.schema import Schema
from trainables.tasks.table.separators import Commas
from trainables.tasks.table.summary import summary, told_of_new
from trainables.tasks.table.targets import (
    TaskKind,
    class_codes,
    class_labels,
    kind_of,
    refuse_constant,
    target_values,
)
from trainables.tasks.task import Kind

Inputs = Frame | np.ndarray | dict[str, np.ndarray]
Target = Series | np.ndarray | dict[str, np.ndarray]
TARGET = "target"
"""Name of the one target in `Samples.targets`."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Given:
    """Given rows: a data frame, an array, or inputs by name, which are not converted."""

    inputs: Inputs
    target: Target
    """A series; numbers (n, t), t values to predict per row; or the user's own arrays by name."""
    groups: np.ndarray | None = None
    times: Float64[np.ndarray, " n"] | None = None

    def __len__(self) -> int:
        target = self.target
        return len(next(iter(target.values())) if isinstance(target, dict) else target)

    def take(self, rows: np.ndarray) -> "Given":
        """Return some of the rows, in the order given."""
        return Given(
            inputs=_taken(self.inputs, rows),
            target=_taken(self.target, rows),
            groups=None if self.groups is None else self.groups[rows],
            times=None if self.times is None else self.times[rows],
        )


def _taken(part: Any, rows: np.ndarray) -> Any:
    if isinstance(part, dict):
        return {name: array[rows] for name, array in part.items()}
    return part[rows] if isinstance(part, np.ndarray) else part.iloc[rows]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Settings of `assembled`: how given rows become data."""

    name: str
    schema: Schema
    """What is known before inference: names of columns, and the layout of arrays."""
    holdout: float = 0.2
    seed: int = 0
    kind: TaskKind | None = None
    """None to infer it from the target."""
    drop: Sequence[str] = ()
    text_numbers: bool = False
    commas: Mapping[str, Commas] = field(default_factory=dict)
    """Meaning of commas within numbers, by column."""
    notes: tuple[str, ...] = ()
    """Lines about the file, to print in the summary."""
    choose: str = "kind="
    """Option with which the user chooses the kind of task, for the summary."""


def assembled(given: Given, plan: Plan, test: Given | None = None) -> Data:
    """Make data from given rows.

    The kind of task, and the classes by which the hold-out is stratified, are inferred from the
    target of all rows of `given`; everything else from the training rows.

    Args:
        given: All rows, or the training rows if `test` is given.
        plan: Names and options.
        test: Test rows; None sets some rows of `given` aside.

    Raises:
        UserError: If columns, target or options cannot be used.
    """
    check_rows(len(given))
    kind, why = _kind(given.target, plan.kind)
    if plan.kind is None and kind != "other":
        why += text("assembly.kind-by-option", option=plan.choose)
    if given.times is not None:
        given = given.take(np.argsort(given.times, kind="stable"))
    drawn = test is None
    if test is None:
        train_rows, test_rows = rows_apart(
            len(given),
            holdout=plan.holdout,
            seed=plan.seed,
            classes=_strata(given.target) if kind == "classification" else None,
            groups=given.groups if plan.schema.group else None,
            by_time=given.times is not None,
        )
        given, test = given.take(train_rows), given.take(test_rows)
    else:
        _refuse_shared_groups(given, test)
    schema = _inferred(given, plan, kind)
    train = _samples(given, schema)
    held = _test_samples(test, schema) if len(test) else None
    notes = plan.notes
    if schema.layout == "table":
        told = told_of_new(test.inputs, schema)
        notes += tuple(text("assembly.told-of-test-rows", note=note) for note in told)
    return Data(
        name=plan.name,
        train=train,
        test=held,
        schema=schema,
        said=summary(
            train, test=held, schema=schema, notes=notes, kind=kind, why=why, drawn=drawn
        ),
    )


def _kind(target: Target, kind: TaskKind | None) -> tuple[Kind, str]:
    if isinstance(target, dict):
        return "other", text("assembly.several-targets", targets=len(target))
    if not isinstance(target, np.ndarray):
        return kind_of(target, kind)
    if kind == "classification":
        raise UserError.of("assembly.several-target-columns", columns=target.shape[1])
    return "regression", text("assembly.several-columns", columns=target.shape[1])


def _strata(target: Series) -> np.ndarray:
    class_labels(target)
    codes, labels = distinct(target)
    single = [word(labels[c]) for c, n in enumerate(np.bincount(codes)) if n == 1]
    if single:
        raise UserError.of("assembly.classes-of-one-row", classes=listed(single))
    return codes


def _inferred(given: Given, plan: Plan, kind: Kind) -> Schema:
    schema = plan.schema
    if schema.layout == "table":
        found = columns_of(given.inputs, dropped=plan.drop, text_numbers=plan.text_numbers)
        read = (replace(column, commas=plan.commas.get(column.name, "")) for column in found)
        schema = replace(schema, columns=tuple(read))
    if kind == "classification":
        return replace(schema, classes=class_labels(given.target))
    if kind == "regression":
        refuse_constant(_targets(given.target, schema)[TARGET], schema.target)
    return schema


def _samples(given: Given, schema: Schema) -> Samples:
    return Samples(
        inputs=inputs_of(given.inputs, schema),
        targets=_targets(given.target, schema),
        groups=given.groups,
    )


def _test_samples(given: Given, schema: Schema) -> Samples:
    try:
        return _samples(given, schema)
    except UserError as error:
        raise UserError.of("assembly.test-rows-refused", problem=error) from error


def inputs_of(inputs: Inputs, schema: Schema) -> dict[str, np.ndarray]:
    """Convert given inputs to those of the schema; inputs by name are returned unchanged.

    Raises:
        UserError: If columns are missing, or values or shapes do not match the schema.
    """
    if isinstance(inputs, dict):
        return inputs
    return (
        array_inputs(inputs, schema) if isinstance(inputs, np.ndarray) else schema.inputs(inputs)
    )


def _targets(target: Target, schema: Schema) -> dict[str, np.ndarray]:
    if isinstance(target, dict):
        return target
    if isinstance(target, np.ndarray):
        return {TARGET: target}
    return {
        TARGET: class_codes(target, schema.classes) if schema.classes else target_values(target)
    }


def group_values(column: Series) -> np.ndarray:
    """Convert a column to groups of rows, (n,), integers or text.

    Raises:
        UserError: If the group of a row is missing.
    """
    refuse_at(column.isna().to_numpy(), column, text("assembly.not-a-group"))
    if column.dtype.kind in "iu":
        return column.to_numpy(np.int64)
    return np.array([word(value) for value in column.tolist()])


def time_values(column: Series) -> Float64[np.ndarray, " n"]:
    """Convert a column of numbers, dates or ISO 8601 text to times of rows, (n,).

    Dates become days since 1970, numbers stay as they are.

    Raises:
        UserError: If a value is missing or not a time.
    """
    values = numbers(column) if column.dtype.kind in "biuf" else days(column)
    refuse_at(~np.isfinite(values), column, text("assembly.not-a-time"))
    return values


def _refuse_shared_groups(train: Given, test: Given) -> None:
    if train.groups is None or test.groups is None:
        return
    shared = np.intersect1d(train.groups.astype(str), test.groups.astype(str))
    if len(shared):
        raise UserError.of("assembly.groups-shared", groups=listed(shared.tolist(), most=4))
