"""Rows of a table, reconstructed from a model's inputs, as an example for requests to a model."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from trainables.tasks.table.columns import NUMERIC, Frame, Use
from trainables.tasks.table.schema import Schema


def frame_of_inputs(schema: Schema, inputs: Mapping[str, np.ndarray]) -> Frame:
    """A data frame of input columns, with the values of the user's table.

    An unseen category becomes a missing value; a date becomes text in ISO 8601.

    Args:
        schema: Schema of the table.
        inputs: Arrays that `Schema.inputs` returned.
    """
    import pandas as pd

    columns: dict[str, list[Any]] = {}
    numeric = iter(inputs["numeric"].T) if "numeric" in inputs else iter(())
    categories = iter(inputs["categories"].T) if "categories" in inputs else iter(())
    for column in schema.columns:
        if column.use in NUMERIC:
            columns[column.name] = [_value(column.use, value) for value in next(numeric)]
        elif column.use == "category":
            codes = next(categories)
            columns[column.name] = [column.categories[c] if c >= 0 else None for c in codes]
    return pd.DataFrame(columns)


def _value(use: Use, value: float) -> Any:
    if np.isnan(value):
        return None
    if use == "boolean":
        return bool(value)
    if use == "number":
        return float(value)
    seconds = np.datetime64(round(value * 86_400), "s")
    return str(seconds).removesuffix("T00:00:00")
