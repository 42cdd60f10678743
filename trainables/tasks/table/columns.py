"""Columns of a table: how the values of one become numbers, days or words.

Pandas is imported when a table is read, not before: tasks without tables do not wait for it.
"""

import difflib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float64, Int64

from foldsweep.errors import UserError

Frame = Any
"""A pandas data frame."""
Series = Any
"""A pandas series: one column of a data frame."""
Use = Literal["number", "boolean", "date", "category", "constant", "identifier", "dropped"]
"""What a column is taken for; the first four are inputs of a model."""
NUMERIC: tuple[Use, ...] = ("number", "boolean", "date")

LARGEST = 1e30
"""Largest number of a column: squares of larger ones leave the range of float64 when summed."""
_TRUTH = {"true": 1.0, "1": 1.0, "false": 0.0, "0": 0.0}
_A_DAY_US = 86_400_000_000


def numbers(column: Series) -> Float64[np.ndarray, " n"]:
    """Numbers of a column; NaN where a value is missing or no number."""
    import pandas as pd

    try:
        found = pd.to_numeric(column, errors="coerce")
    except OverflowError:  # of whole numbers beyond float64, which as text are infinite
        found = pd.to_numeric(column.map(str, na_action="ignore"), errors="coerce")
    return found.to_numpy(np.float64, na_value=np.nan)


def booleans(column: Series) -> Float64[np.ndarray, " n"]:
    """1 for true and 0 for false, as boolean, number or word; NaN for anything else."""
    places, values = distinct(column)
    truth = [_TRUTH.get(word(value).lower(), np.nan) for value in values]
    return np.array([*truth, np.nan])[places]


def days(column: Series) -> Float64[np.ndarray, " n"]:
    """Days since 1970 of dates and times, as such or as ISO 8601 text; NaN for anything else.

    Times without a zone count as UTC.
    """
    import pandas as pd

    if pd.api.types.is_numeric_dtype(column.dtype):  # which pandas takes for nanoseconds
        return np.full(len(column), np.nan)
    if column.dtype == object:
        column = column.map(lambda value: None if isinstance(value, int | float) else value)
    times = pd.to_datetime(column, errors="coerce", utc=True, format="ISO8601")
    microseconds = times.to_numpy("datetime64[us]")
    missing = np.isnat(microseconds)
    return np.where(missing, np.nan, microseconds.astype(np.int64) / _A_DAY_US)


def distinct(column: Series) -> tuple[Int64[np.ndarray, " n"], list[Any]]:
    """Different values in order of appearance, and the place of each row's; -1 where missing."""
    import pandas as pd

    places, values = pd.factorize(column)
    return places.astype(np.int64), [plain(value) for value in values.tolist()]


def categories_of(column: Series) -> tuple[str, ...]:
    """Different values as text, sorted. 1, 1.0 and "1" are the same."""
    return tuple(sorted({word(value) for value in distinct(column)[1]}))


def as_numbers(column: Series, use: Use) -> Float64[np.ndarray, " n"]:
    """Numbers of a column that is taken for numbers, booleans or dates; NaN where missing.

    Raises:
        UserError: If a value cannot be read so, or is too large; it names column, row and value.
    """
    convert, what = _NUMBERS[use]
    values = convert(column)
    refuse_at(np.isnan(values) & column.notna().to_numpy(), column, f"is not {what}")
    with np.errstate(invalid="ignore"):
        refuse_at(np.abs(values) > LARGEST, column, f"is infinite, or above {LARGEST:g}")
    return values


_NUMBERS: dict[Use, tuple[Callable[[Series], np.ndarray], str]] = {
    "number": (numbers, "a number"),
    "boolean": (booleans, "true or false"),
    "date": (days, "an ISO 8601 date, such as 2024-01-31"),
}


def codes(column: Series, categories: Sequence[str]) -> Int64[np.ndarray, " n"]:
    """Place of each value among the categories; -1 where it is missing or none of them."""
    place = {category: i for i, category in enumerate(categories)}
    places, values = distinct(column)
    coded = [place.get(word(value), -1) for value in values]
    return np.array([*coded, -1], dtype=np.int64)[places]


def refuse_at(bad: Bool[np.ndarray, " n"], column: Series, why: str) -> None:
    """Refuse a column where any value is bad.

    Args:
        bad: Whether each value is.
        column: The column, indexed by the rows of the table it is from, counted from 0.
        why: What is wrong, for the end of the message.

    Raises:
        UserError: Naming column, value and row, counted from 1 below the header.
    """
    if not bad.any():
        return
    place = int(bad.argmax())
    value, row = plain(column.iloc[place]), int(column.index[place]) + 1
    raise UserError(f"column {column.name!r}: {value!r} in row {row} {why}")


def plain(value: Any) -> Any:
    """A value of a column as plain Python."""
    return value.item() if isinstance(value, np.generic) else value


def text_columns(frame: Frame) -> tuple[str, ...]:
    """Columns that are read as text, as their like in other files must be."""
    from pandas.api import types

    kinds = frame.dtypes.items()
    return tuple(str(k) for k, d in kinds if types.is_object_dtype(d) or types.is_string_dtype(d))


def nearest(name: str, names: Iterable[str]) -> str:
    """A hint at the name that was meant, for the end of a message; empty if none is near."""
    near = difflib.get_close_matches(name, list(names), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def shown(name: Any) -> str:
    """A name or value for a line of its own, without what a terminal would act on."""
    text = str(name)
    return text if text.isprintable() else repr(text)


def repeated(names: Iterable[str]) -> list[str]:
    """Names that occur more than once, in order."""
    return sorted(name for name, times in Counter(names).items() if times > 1)


def listed(names: Sequence[Any], *, most: int = 12) -> str:
    """Names or values for a message, so many at most."""
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(repr, names[:most])) + rest


def word(value: Any) -> str:
    """A value as text; whole numbers without a decimal point."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(plain(value))
