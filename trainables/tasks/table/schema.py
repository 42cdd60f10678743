"""Schema: meaning of the columns of a table or the axes of an array, from training rows."""

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
"""Name of a class, a value of the target column."""
Layout = Literal["table", "images", "array", "own"]
Read = TypeVar("Read", "Column", "Schema")


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a table, other than the target and the columns that define splits."""

    name: str
    use: Use
    missing: bool = False
    """Whether values are missing in the training rows; networks then get a flag as an input."""
    commas: Literal["", "thousands", "decimal"] = ""
    """Meaning of commas within its numbers, in text files; empty if there are none."""
    categories: tuple[str, ...] = ()
    """Categories in the training rows, sorted; empty for other uses."""


@dataclass(frozen=True, kw_only=True)
class Schema:
    """Meaning of inputs and target; inferred from all training rows, so that folds share shapes.

    A table has the inputs `numeric`, float64 (n, p) with NaN where missing, and `categories`,
    int64 (n, q) with -1 where missing or not among the training rows' categories; an input
    without columns is left out. Booleans are the numbers 0 and 1, dates are days since 1970.
    """

    columns: tuple[Column, ...] = ()
    target: str = "target"
    classes: tuple[Label, ...] = ()
    """Classes of the target in order of their codes; empty if the target is a number."""
    group: str | None = None
    """Column of groups; rows of a group are never on both sides of a split."""
    time: str | None = None
    """Column of times, by which rows are sorted."""
    fold: str | None = None
    """Column with the fold in which a row is held out."""
    layout: Layout = "table"
    """`images` are the input `images`, float32 (n, c, h, w); `array` is the input `x`, float32
    (n, ...); `own` are inputs that the user named."""
    channels_last: bool = False
    """Whether images are given as (n, h, w, c)."""
    shape: tuple[int, ...] = ()
    """Shape of one row of an array as given, before conversion."""

    @property
    def numeric(self) -> tuple[str, ...]:
        """Names of the columns of numbers, booleans and dates."""
        return tuple(column.name for column in self.columns if column.use in NUMERIC)

    @property
    def categorical(self) -> dict[str, tuple[str, ...]]:
        """Categories by column."""
        return {c.name: c.categories for c in self.columns if c.use == "category"}

    @property
    def levels(self) -> tuple[int, ...]:
        """Number of codes of each encoded categorical column: its categories, and `other`."""
        return tuple(len(categories) + 1 for categories in self.categorical.values())

    @property
    def flagged(self) -> tuple[int, ...]:
        """Indices among the numeric columns of those with a flag for missing values."""
        numeric = (column for column in self.columns if column.use in NUMERIC)
        return tuple(i for i, column in enumerate(numeric) if column.missing)

    @property
    def commas(self) -> dict[str, Any]:
        """Meaning of commas within numbers, by column; only columns with commas."""
        return {column.name: column.commas for column in self.columns if column.commas}

    def named(self, use: Use) -> tuple[str, ...]:
        """Names of the columns of one use, such as `identifier`."""
        return tuple(column.name for column in self.columns if column.use == use)

    def inputs(self, frame: Frame) -> dict[str, np.ndarray]:
        """Convert rows of the training table or of a new table to inputs.

        Columns that are not inputs may be absent; columns outside the schema are ignored.

        Args:
            frame: Data frame of n rows.

        Raises:
            UserError: If an input column is missing or a value has the wrong type.
        """
        frame = with_names(frame)
        needed = [c for c in self.columns if c.use in NUMERIC or c.use == "category"]
        absent = [column.name for column in needed if column.name not in frame.columns]
        if absent:
            near = nearest(absent[0], frame.columns)
            raise UserError.of("schema.columns-missing", columns=listed(absent), hint=near)
        numeric = [as_numbers(frame[c.name], c.use) for c in needed if c.use in NUMERIC]
        coded = [codes(frame[c.name], c.categories) for c in needed if c.use == "category"]
        stacked = {"numeric": numeric, CATEGORIES: coded}
        return {name: np.stack(part, axis=1) for name, part in stacked.items() if part}

    def unknown(self, frame: Frame) -> tuple[str, ...]:
        """Columns of a new table that the training table did not have."""
        known = {column.name for column in self.columns}
        known |= {name for name in (self.target, self.group, self.time, self.fold) if name}
        return tuple(name for name in map(str, frame.columns) if name not in known)

    def unseen(self, frame: Frame) -> dict[str, int]:
        """Number of values outside the training rows' categories, by column; zeros left out."""
        counts = {
            name: int((codes(frame[name], categories) < 0).sum() - frame[name].isna().sum())
            for name, categories in self.categorical.items()
        }
        return {name: count for name, count in counts.items() if count}

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, which `from_dict` reads."""
        return _listed(asdict(self))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Schema":
        """Return the schema that `to_dict` wrote.

        Raises:
            UserError: If a key is missing or unknown, or a value is of the wrong type.
        """
        columns = values.get("columns")
        if not fits(columns, list[dict]):
            raise UserError.of("schema.columns-not-mappings")
        read = tuple(_read(Column, column) for column in columns or ())
        return _read(cls, {**values, "columns": read})


def with_names(frame: Frame) -> Frame:
    """Return the data frame with column names converted to text.

    Raises:
        UserError: If two columns have the same name.
    """
    names = [str(name) for name in frame.columns]
    twice = repeated(names)
    if twice:
        raise UserError.of("schema.column-named-twice", columns=listed(twice))
    return frame.set_axis(names, axis=1)


def _listed(value: Any) -> Any:
    """Convert tuples to lists recursively, as in JSON."""
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
        raise UserError.of(
            "schema.keys-differ", what=cls.__name__.lower(), unknown=unknown, missing=missing
        )
    read: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    for name, hint in hints.items():
        if not fits(read[name], hint):
            raise UserError.of(
                "schema.wrong-type", key=name, type=described(hint), value=brief(values[name])
            )
    return cls(**read)
