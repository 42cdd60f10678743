"""Columns of a table: convert their values to numbers, days or words.

Pandas is imported inside functions, because its import is slow and tasks without tables do not
need it.
"""

import difflib
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float64, Int64

from foldsweep.errors import UserError
from foldsweep.texts import text

Frame = Any
"""A pandas data frame."""
Series = Any
"""A pandas series: one column of a data frame."""
Use = Literal["number", "boolean", "date", "category", "constant", "identifier", "dropped"]
"""Inferred use of a column; the first four are inputs of a model."""
NUMERIC: tuple[Use, ...] = ("number", "boolean", "date")

LARGEST = 1e30
"""Largest number in a column: sums of squares of larger numbers may overflow float64."""
_TRUTH = {"true": 1.0, "1": 1.0, "false": 0.0, "0": 0.0}
_A_DAY_US = 86_400_000_000


def numbers(column: Series) -> Float64[np.ndarray, " n"]:
    """Convert a column to numbers; NaN where a value is missing or not a number."""
    import pandas as pd

    try:
        found = pd.to_numeric(column, errors="coerce")
    except OverflowError:  # integers beyond float64, which are infinite when read as text
        found = pd.to_numeric(column.map(str, na_action="ignore"), errors="coerce")
    return found.to_numpy(np.float64, na_value=np.nan)


def booleans(column: Series) -> Float64[np.ndarray, " n"]:
    """1 for true and 0 for false, given as booleans, numbers or words; NaN for other values."""
    places, values = distinct(column)
    truth = [_TRUTH.get(word(value).lower(), np.nan) for value in values]
    return np.array([*truth, np.nan])[places]


def days(column: Series) -> Float64[np.ndarray, " n"]:
    """Days since 1970, from datetimes or ISO 8601 text; NaN for other values.

    Times without a time zone are UTC.
    """
    import pandas as pd

    if pd.api.types.is_numeric_dtype(column.dtype):  # pandas would read numbers as nanoseconds
        return np.full(len(column), np.nan)
    if column.dtype == object:
        column = column.map(lambda value: None if isinstance(value, int | float) else value)
    times = pd.to_datetime(column, errors="coerce", utc=True, format="ISO8601")
    microseconds = times.to_numpy("datetime64[us]")
    missing = np.isnat(microseconds)
    return np.where(missing, np.nan, microseconds.astype(np.int64) / _A_DAY_US)


def distinct(column: Series) -> tuple[Int64[np.ndarray, " n"], list[Any]]:
    """Index of each row's value, -1 where missing, and distinct values in order of appearance."""
    import pandas as pd

    places, values = pd.factorize(column)
    return places.astype(np.int64), [plain(value) for value in values.tolist()]


def categories_of(column: Series) -> tuple[str, ...]:
    """Distinct values as text, sorted; 1, 1.0 and "1" are the same category."""
    return tuple(sorted({word(value) for value in distinct(column)[1]}))


def as_numbers(column: Series, use: Use) -> Float64[np.ndarray, " n"]:
    """Convert a column of numbers, booleans or dates to numbers; NaN where missing.

    Raises:
        UserError: If a value cannot be converted, or its magnitude exceeds `LARGEST`; the message
            names column, row and value.
    """
    convert, why = {
        "number": (numbers, text("columns.not-a-number")),
        "boolean": (booleans, text("columns.not-true-or-false")),
        "date": (days, text("columns.not-a-date")),
    }[use]
    values = convert(column)
    refuse_at(np.isnan(values) & column.notna().to_numpy(), column, why)
    with np.errstate(invalid="ignore"):
        refuse_at(np.abs(values) > LARGEST, column, text("columns.too-large", most=LARGEST))
    return values


def codes(column: Series, categories: Sequence[str]) -> Int64[np.ndarray, " n"]:
    """Index of each value among the categories; -1 if it is missing or not a category."""
    place = {category: i for i, category in enumerate(categories)}
    places, values = distinct(column)
    coded = [place.get(word(value), -1) for value in values]
    return np.array([*coded, -1], dtype=np.int64)[places]


def refuse_at(bad: Bool[np.ndarray, " n"], column: Series, why: str) -> None:
    """Refuse a column that has a bad value.

    Args:
        bad: Whether each value is bad.
        column: The column, whose index is the row number in its table, counted from 0.
        why: Reason, for the end of the message.

    Raises:
        UserError: If any value is bad; the message names column, value and row, counted from 1
            below the header.
    """
    if not bad.any():
        return
    place = int(bad.argmax())
    value, row = plain(column.iloc[place]), int(column.index[place]) + 1
    raise UserError.of("columns.bad-value", column=column.name, value=value, row=row, why=why)


def plain(value: Any) -> Any:
    """Convert a value of a column to a plain Python value."""
    return value.item() if isinstance(value, np.generic) else value


def text_columns(frame: Frame) -> tuple[str, ...]:
    """Columns of text, which other files of the same table must read as text too."""
    from pandas.api import types

    kinds = frame.dtypes.items()
    return tuple(str(k) for k, d in kinds if types.is_object_dtype(d) or types.is_string_dtype(d))


def nearest(name: str, names: Iterable[str]) -> str:
    """Hint at a similar name, for the end of a message; empty if none is similar."""
    near = difflib.get_close_matches(name, list(names), n=1)
    return text("checks.did-you-mean", word=repr(near[0])) if near else ""


def shown(name: Any) -> str:
    """Name or value for printing; unprintable characters are escaped, to protect the terminal."""
    plain_name = str(name)
    return plain_name if plain_name.isprintable() else repr(plain_name)


def repeated(names: Iterable[str]) -> list[str]:
    """Names that occur more than once, sorted."""
    return sorted(name for name, times in Counter(names).items() if times > 1)


def listed(names: Sequence[Any], *, most: int = 12) -> str:
    """Join names or values for a message, at most `most` of them."""
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(repr, names[:most])) + rest


def word(value: Any) -> str:
    """Convert a value to text; whole numbers have no decimal point."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(plain(value))
