"""Schema: what the columns of a table or the axes of an array mean, as training rows have it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, TypeVar

import numpy as np

from foldsweep.checks import brief, described, fits
from foldsweep.errors import UserError
from trainables.tasks.samples import CATEGORIES
from trainables.tasks.table.columns import (
    NUMERIC,
    Frame,
    Use,
    as_numbers,
    codes,
    listed,
    nearest,
    repeated,
)

Label = str | int | float | bool
"""Name of a class, as the target column has it."""
Layout = Literal["table", "images", "array", "own"]
Read = TypeVar("Read", "Column", "Schema")


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a table that is neither target nor says how rows are split."""

    name: str
    use: Use
    missing: bool = False
    """Whether values are missing in the training rows: networks then get a flag for it."""
    commas: Literal["", "thousands", "decimal"] = ""
    """What commas within its numbers are, in text files."""
    categories: tuple[str, ...] = ()
    """Values of a category in the training rows, sorted."""


@dataclass(frozen=True, kw_only=True)
class Schema:
    """What inputs and target mean; that of the training rows, so that all folds have one shape.

    A table's inputs are `numeric`, float64 (n, p) with NaN where missing, and `categories`,
    int64 (n, q) with -1 where missing or not among the training rows' categories; one without
    columns is left out. Booleans are the numbers 0 and 1, dates are days since 1970.
    """

    columns: tuple[Column, ...] = ()
    target: str = "target"
    classes: tuple[Label, ...] = ()
    """Classes of the target in order of their codes; empty where it is a number."""
    group: str | None = None
    """Column whose groups never straddle a split."""
    time: str | None = None
    """Column that rows are sorted by."""
    fold: str | None = None
    """Column that says which fold holds a row out."""
    layout: Layout = "table"
    """Images are float32 (n, c, h, w) under `images`, other arrays float32 (n, ...) under `x`;
    inputs given by name are the user's own."""
    channels_last: bool = False
    """Whether images are given as (n, h, w, c)."""
    shape: tuple[int, ...] = ()
    """Shape of one row of an array, as it is given."""

    @property
    def numeric(self) -> tuple[str, ...]:
        """Columns of numbers, booleans and dates."""
        return tuple(column.name for column in self.columns if column.use in NUMERIC)

    @property
    def categorical(self) -> dict[str, tuple[str, ...]]:
        """Categories by column."""
        return {c.name: c.categories for c in self.columns if c.use == "category"}

    @property
    def levels(self) -> tuple[int, ...]:
        """Codes of each encoded categorical column: its categories, and `other`."""
        return tuple(len(categories) + 1 for categories in self.categorical.values())

    @property
    def flagged(self) -> tuple[int, ...]:
        """Places among the numeric columns of those that get a flag for missing values."""
        numeric = (column for column in self.columns if column.use in NUMERIC)
        return tuple(i for i, column in enumerate(numeric) if column.missing)

    @property
    def commas(self) -> dict[str, Any]:
        """How commas within numbers are read, by column that has some."""
        return {column.name: column.commas for column in self.columns if column.commas}

    def named(self, use: Use) -> tuple[str, ...]:
        """Columns of one use, such as `identifier`."""
        return tuple(column.name for column in self.columns if column.use == use)

    def inputs(self, frame: Frame) -> dict[str, np.ndarray]:
        """Inputs of a table's rows, of the training table or a new one.

        Columns that are no inputs may be absent; those the schema does not know are ignored.

        Args:
            frame: Data frame of n rows.

        Raises:
            UserError: If a column is missing or a value is not of its type.
        """
        frame = with_names(frame)
        needed = [c for c in self.columns if c.use in NUMERIC or c.use == "category"]
        absent = [column.name for column in needed if column.name not in frame.columns]
        if absent:
            near = nearest(absent[0], frame.columns)
            raise UserError(f"columns are missing: {listed(absent)}{near}")
        numeric = [as_numbers(frame[c.name], c.use) for c in needed if c.use in NUMERIC]
        coded = [codes(frame[c.name], c.categories) for c in needed if c.use == "category"]
        stacked = {"numeric": numeric, CATEGORIES: coded}
        return {name: np.stack(part, axis=1) for name, part in stacked.items() if part}

    def unknown(self, frame: Frame) -> tuple[str, ...]:
        """Columns of a new table that the training table does not have."""
        known = {column.name for column in self.columns}
        known |= {name for name in (self.target, self.group, self.time, self.fold) if name}
        return tuple(name for name in map(str, frame.columns) if name not in known)

    def unseen(self, frame: Frame) -> dict[str, int]:
        """How many values are in none of the training rows' categories, by column, where any."""
        counts = {
            name: int((codes(frame[name], categories) < 0).sum() - frame[name].isna().sum())
            for name, categories in self.categorical.items()
        }
        return {name: count for name, count in counts.items() if count}

    def to_dict(self) -> dict[str, Any]:
        """Plain values, which `from_dict` reads."""
        return _listed(asdict(self))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Schema":
        """The schema that `to_dict` wrote.

        Raises:
            UserError: If a key is missing or unknown, or a value is of the wrong type.
        """
        columns = values.get("columns")
        if not fits(columns, list[dict]):
            raise UserError("a schema's columns must be a list of mappings")
        read = tuple(_read(Column, column) for column in columns or ())
        return _read(cls, {**values, "columns": read})


def with_names(frame: Frame) -> Frame:
    """The frame with its columns' names as text.

    Raises:
        UserError: If two columns have one name.
    """
    names = [str(name) for name in frame.columns]
    twice = repeated(names)
    if twice:
        raise UserError(f"columns have the same name: {listed(twice)}; rename them")
    return frame.set_axis(names, axis=1)


def _listed(value: Any) -> Any:
    """Tuples as lists, all the way down, as JSON has them."""
    match value:
        case dict():
            return {key: _listed(v) for key, v in value.items()}
        case list() | tuple():
            return [_listed(v) for v in value]
    return value


def _read(cls: type[Read], values: Mapping[str, Any]) -> Read:
    hints = {field.name: field.type for field in fields(cls)}
    unknown = sorted(set(values) - set(hints))
    missing = sorted(set(hints) - set(values))
    if unknown or missing:
        raise UserError(f"a {cls.__name__.lower()} has unknown keys {unknown}, lacks {missing}")
    read: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    for name, hint in hints.items():
        if not fits(read[name], hint):
            raise UserError(f"{name} must be {described(hint)}, but is {brief(values[name])}")
    return cls(**read)
