import numpy as np
import pytest

from tests.refusals import refused, text
from trainables.tasks.table.arrays import (
    array_inputs,
    array_schema,
    frame_of,
    named_arrays,
    shape_told,
)


def test_images_with_channels_first():
    x = np.random.default_rng(0).random((5, 3, 8, 9))
    schema = array_schema(x)
    inputs = array_inputs(x, schema)
    np.testing.assert_array_equal(inputs["images"], x.astype(np.float32))
    assert shape_told(schema) == text(
        "arrays.told-images", shape="3 x 8 x 9", axes="(n, c, h, w)", channels="3 channels"
    )


def test_images_with_channels_last():
    x = np.random.default_rng(0).random((5, 8, 9, 3))
    schema = array_schema(x)
    inputs = array_inputs(x, schema)
    np.testing.assert_array_equal(inputs["images"], x.transpose(0, 3, 1, 2).astype(np.float32))
    assert inputs["images"].flags.c_contiguous
    assert shape_told(schema) == text(
        "arrays.told-images", shape="8 x 9 x 3", axes="(n, h, w, c)", channels="3 channels"
    )


def test_grey_images_of_bytes():
    x = np.zeros((5, 8, 9), dtype=np.uint8)
    schema = array_schema(x)
    assert array_inputs(x, schema)["images"].shape == (5, 1, 8, 9)
    assert shape_told(schema) == text("arrays.told-grey-images", shape="8 x 9")


def test_sequences_stay_as_they_are():
    x = np.random.default_rng(0).random((5, 8, 2))
    schema = array_schema(x)
    assert schema.layout == "array"
    inputs = array_inputs(x, schema)
    assert inputs["x"].dtype == np.float32
    np.testing.assert_array_equal(inputs["x"], x.astype(np.float32))


def test_rows_of_columns_are_a_table():
    frame = frame_of(np.arange(6.0).reshape(3, 2))
    assert list(frame.columns) == ["x0", "x1"]
    assert list(frame_of(np.arange(3)).columns) == ["x0"]


def test_arrays_by_name():
    named = named_arrays({"a": [1, 2], "b": [1.5, 2], "c": np.zeros(2, dtype=np.uint8)})
    assert {k: v.dtype.name for k, v in named.items()} == {
        "a": "int64",
        "b": "float32",
        "c": "float32",
    }


@pytest.mark.parametrize(
    ("x", "kind", "values"),
    [
        (np.array([[1, np.nan], [1, 2]]), "arrays.not-finite", {"bad": 1, "rows": 2, "row": 1}),
        (np.array([[1, 1], [1, np.inf]]), "arrays.not-finite", {"row": 2}),
        (np.array([["a", "b"]]), "arrays.not-numbers", {"type": "<U1"}),
        (np.zeros((0, 2)), "arrays.empty", {"shape": (0, 2)}),
    ],
)
def test_arrays_that_are_not_finite_numbers_are_refused(x, kind, values):
    with refused(kind, **values):
        frame_of(x)


def test_rows_of_another_shape_are_refused():
    schema = array_schema(np.zeros((5, 3, 8, 8)))
    with refused("arrays.row-shape-differs", expected=(3, 8, 8), shape=(8, 8, 3)):
        array_inputs(np.zeros((5, 8, 8, 3)), schema)
