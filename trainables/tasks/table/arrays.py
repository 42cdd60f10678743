"""Arrays: images, sequences and columns without names, converted to inputs of networks."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from foldsweep.errors import UserError
from foldsweep.numbers import plural
from foldsweep.texts import text
from trainables.tasks.table.columns import Frame
from trainables.tasks.table.schema import Schema

IMAGES = "images"
ARRAY = "x"


def is_table(x: np.ndarray) -> bool:
    """Whether an array is a table, (n,) or (n, p)."""
    return x.ndim <= 2


def frame_of(x: np.ndarray) -> Frame:
    """Convert an array (n,) or (n, p) to a data frame with columns `x0`, `x1`, ...

    Raises:
        UserError: If values are not finite numbers.
    """
    import pandas as pd

    check_array(x, ARRAY)
    columns = x.reshape(len(x), -1)
    return pd.DataFrame(columns, columns=[f"x{i}" for i in range(columns.shape[1])])


def array_schema(x: np.ndarray) -> Schema:
    """Infer the layout of an array (n, ...) with three or more axes.

    Four axes are images; the channel axis is the last one if it is shorter than the second, else
    the second. Three axes are grey images if the dtype is uint8. All other arrays, such as
    sequences, keep their layout.
    """
    images = x.ndim == 4 or (x.ndim == 3 and x.dtype == np.uint8)
    return Schema(
        layout="images" if images else "array",
        channels_last=bool(x.ndim == 4 and x.shape[3] < x.shape[1]),
        shape=tuple(x.shape[1:]),
    )


def array_inputs(x: np.ndarray, schema: Schema) -> dict[str, np.ndarray]:
    """Convert an array (n, ...) to inputs: images float32 (n, c, h, w), others float32 (n, ...).

    Raises:
        UserError: If values are not finite numbers, or the shape of rows differs from the
            schema's.
    """
    check_array(x, ARRAY)
    if tuple(x.shape[1:]) != schema.shape:
        raise UserError.of(
            "arrays.row-shape-differs", array=ARRAY, expected=schema.shape, shape=x.shape[1:]
        )
    if schema.layout == "array":
        return {ARRAY: x.astype(np.float32)}
    if x.ndim == 3:
        x = x[:, None]
    elif schema.channels_last:
        x = x.transpose(0, 3, 1, 2)
    return {IMAGES: np.ascontiguousarray(x, dtype=np.float32)}


def named_arrays(arrays: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Convert arrays given by name: integers to int64, except uint8; all others to float32.

    Raises:
        UserError: If values are not finite numbers.
    """
    named = {}
    for name, given in arrays.items():
        array = np.asarray(given)
        check_array(array, name)
        whole = array.dtype.kind in "iu" and array.dtype != np.uint8
        named[name] = array.astype(np.int64 if whole else np.float32)
    return named


def check_array(x: np.ndarray, name: str) -> None:
    """Refuse an empty array, and one whose values are not finite numbers.

    Raises:
        UserError: If the array is empty, holds text or objects, or NaN or infinite values; the
            message names the first such row.
    """
    if x.dtype.kind not in "biuf":
        raise UserError.of("arrays.not-numbers", array=name, type=x.dtype)
    if 0 in x.shape:
        raise UserError.of("arrays.empty", array=name, shape=x.shape)
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        rows = ~np.isfinite(x).reshape(len(x), -1).all(1)
        raise UserError.of(
            "arrays.not-finite",
            array=name,
            bad=int(rows.sum()),
            rows=len(x),
            row=int(rows.argmax()) + 1,
        )


def shape_told(schema: Schema) -> str:
    """Describe how the axes of an array are interpreted, for a message."""
    shape = " x ".join(map(str, schema.shape))
    if schema.layout != "images":
        return text("arrays.told-any", shape=shape)
    if len(schema.shape) == 2:
        return text("arrays.told-grey-images", shape=shape)
    axes = "(n, h, w, c)" if schema.channels_last else "(n, c, h, w)"
    channels = schema.shape[-1] if schema.channels_last else schema.shape[0]
    return text("arrays.told-images", shape=shape, axes=axes, channels=plural(channels, "channel"))
