"""Inference of the use of each column of a table, from training rows only."""

import re
from collections.abc import Sequence

import numpy as np

from foldsweep.errors import UserError
from foldsweep.texts import text
from trainables.tasks.table.columns import (
    Frame,
    Series,
    Use,
    as_numbers,
    booleans,
    categories_of,
    days,
    distinct,
    listed,
    nearest,
    numbers,
)
from trainables.tasks.table.schema import Column

MOST_CATEGORIES = 1000
"""Largest number of distinct texts in a column: each is a column of a network's first layer."""
MOST_MARKERS = 2
"""Largest number of distinct texts, such as `?`, that are taken for markers in a column of
numbers and refused; a column with more of them is categories."""
IDENTIFIER_SHARE = 0.5
"""A text column whose number of distinct values exceeds this share of the rows is an
identifier."""
IDENTIFIER_ROWS = 20
"""Smallest number of rows from which identifiers are inferred."""
_IDENTIFIER_NAME = re.compile(r"(?i:(^|[\W_])(id|uuid|guid|index)$)|^Unnamed: \d+$|[a-z](ID|Id)$")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def columns_of(frame: Frame, *, dropped: Sequence[str], text_numbers: bool) -> tuple[Column, ...]:
    """Infer the use of each column.

    Args:
        frame: Training rows, without the target and the columns that define splits.
        dropped: Columns to leave out.
        text_numbers: Whether text may be numbers, as in a text file; text in a data frame is
            words.

    Raises:
        UserError: If a column is neither numbers nor dates nor categories, a column to drop does
            not exist, or no input column is left.
    """
    for name in dropped:
        if name not in frame.columns:
            near = nearest(name, frame.columns)
            raise UserError.of("inference.dropped-column-unknown", column=name, hint=near)
    columns = tuple(
        Column(name=name, use="dropped")
        if name in dropped
        else column_of(frame[name], text_numbers=text_numbers)
        for name in frame.columns
    )
    if all(column.use in ("constant", "identifier", "dropped") for column in columns):
        told = [f"{column.name!r} ({column.use})" for column in columns]
        raise UserError.of(
            "inference.no-column-left", columns=", ".join(told) or text("inference.no-columns")
        )
    return columns


def column_of(column: Series, *, text_numbers: bool = False) -> Column:
    """Infer the use of a column of training rows.

    Raises:
        UserError: If the column is neither numbers nor dates nor categories.
    """
    name = str(column.name)
    use = _type_of(column, text_numbers=text_numbers)
    missing = bool(column.isna().any())
    if use == "category":
        return _category(column, missing)
    values = as_numbers(column, use)
    present = values[~np.isnan(values)]
    if len(present) == 0 or (not missing and present.min() == present.max()):
        return Column(name=name, use="constant")
    if use == "number" and not missing and _counts_rows(present, name):
        return Column(name=name, use="identifier")
    return Column(name=name, use=use, missing=missing)


def _type_of(column: Series, *, text_numbers: bool) -> Use:
    from pandas.api import types

    dtype = column.dtype
    if isinstance(dtype, types.CategoricalDtype):
        return "category"
    if types.is_bool_dtype(dtype):
        return "boolean"
    if types.is_numeric_dtype(dtype) and not types.is_complex_dtype(dtype):
        return "number"
    if types.is_datetime64_any_dtype(dtype):
        return "date"
    if types.is_object_dtype(dtype) or types.is_string_dtype(dtype):
        return _type_of_values(column.dropna(), text_numbers=text_numbers)
    raise UserError.of("inference.column-type-unusable", column=column.name, type=dtype)


def _type_of_values(present: Series, *, text_numbers: bool) -> Use:
    values = _distinct_values(present)
    if not values:
        return "number"
    if all(str(value).lower() in ("true", "false") for value in values):
        return "boolean" if not np.isnan(booleans(present)).any() else "category"
    texts = [value for value in values if isinstance(value, str)]
    if (text_numbers or not texts) and not np.isnan(numbers(present)).any():
        return "number"
    if all(not isinstance(v, str) or _DATE.match(v) for v in values):
        return "date" if not np.isnan(days(present)).any() else "category"
    return "category"


def _distinct_values(present: Series) -> list[object]:
    """Distinct values of a column of objects.

    Raises:
        UserError: If a value is not a single number or text, such as a list.
    """
    try:
        values = distinct(present)[1]
    except TypeError:  # lists and mappings are not hashable
        values = present.tolist()
    for value in values:
        if isinstance(value, list | dict | tuple | set | bytes | np.ndarray):
            raise UserError.of(
                "inference.values-not-single",
                column=present.name,
                type=type(value).__name__,
                value=repr(value)[:40],
            )
    return values


def _category(column: Series, missing: bool) -> Column:
    name, rows = str(column.name), len(column)
    categories = categories_of(column)
    if len(categories) == 0 or (len(categories) == 1 and not missing):
        return Column(name=name, use="constant")
    if column.dtype != "category":
        _refuse_markers(column)
    if rows >= IDENTIFIER_ROWS and len(categories) == rows:
        return Column(name=name, use="identifier")
    if len(categories) > MOST_CATEGORIES:
        raise UserError.of(
            "inference.too-many-categories",
            column=name,
            texts=len(categories),
            rows=rows,
            most=MOST_CATEGORIES,
        )
    if rows >= IDENTIFIER_ROWS and len(categories) > IDENTIFIER_SHARE * rows:
        return Column(name=name, use="identifier")
    return Column(name=name, use="category", missing=missing, categories=categories)


def _refuse_markers(column: Series) -> None:
    """Refuse a text column of numbers with up to `MOST_MARKERS` distinct words, such as `?`."""
    values = [value for value in distinct(column)[1] if isinstance(value, str)]
    odd = [value for value, number in zip(values, _tried(values), strict=True) if np.isnan(number)]
    if 0 < len(odd) <= MOST_MARKERS and len(values) - len(odd) > IDENTIFIER_ROWS:
        raise UserError.of("inference.words-among-numbers", column=column.name, words=listed(odd))


def _tried(values: list[str]) -> np.ndarray:
    import pandas as pd

    return numbers(pd.Series(values, dtype=object))


def _counts_rows(values: np.ndarray, name: str) -> bool:
    """Whether a column is an identifier: distinct whole numbers, dense or named like one."""
    if len(values) < IDENTIFIER_ROWS or (values != np.floor(values)).any():
        return False
    if len(np.unique(values)) < len(values):
        return False
    dense = values.max() - values.min() < 2 * len(values)
    return bool(dense or _IDENTIFIER_NAME.search(name))
