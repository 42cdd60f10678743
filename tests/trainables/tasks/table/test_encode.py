import io

import numpy as np
import pytest
import torch

from trainables.tasks.samples import Samples
from trainables.tasks.table.encode import RARE, TableEncoder
from trainables.tasks.table.schema import Column, Schema

SCHEMA = Schema(
    columns=(
        Column(name="a", use="number"),
        Column(name="colour", use="category", categories=("blue", "green", "red")),
        Column(name="b", use="number", missing=True),
        Column(name="size", use="category", categories=("l", "s"), missing=True),
    )
)
NAN = np.nan


def samples(numeric, categories=None):
    inputs = {"numeric": np.array(numeric, dtype=np.float64)}
    if categories is not None:
        inputs["categories"] = np.array(categories, dtype=np.int64)
    return Samples(inputs=inputs, targets={"y": np.zeros(len(numeric))})


def table(rows=12):
    random = np.random.default_rng(0)
    numeric = random.normal(size=(rows, 2))
    numeric[:3, 1] = NAN
    colours = np.array([0] * 6 + [1] * 2 + [2] * (rows - 8))
    sizes = np.array([0] * 6 + [-1] + [1] * (rows - 7))
    return samples(numeric, np.stack([colours, sizes], 1))


def encoded(encoding, given):
    with torch.no_grad():
        found = encoding({name: torch.as_tensor(v) for name, v in given.inputs.items()})
    return {name: value.numpy() for name, value in found.items()}


def test_numbers_are_imputed_standardised_and_flagged():
    rows = samples([[1.0, 4.0], [2.0, NAN], [3.0, 8.0], [6.0, 30.0]])
    found = encoded(TableEncoder(schema=SCHEMA).fit(rows), rows)["numeric"]
    imputed = np.array([[1.0, 4.0], [2.0, 8.0], [3.0, 8.0], [6.0, 30.0]])
    expected = (imputed - imputed.mean(0)) / imputed.std(0)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[:, :2], expected, rtol=1e-6)
    np.testing.assert_array_equal(found[:, 2], [0, 1, 0, 0])


def test_rare_unseen_and_missing_categories_are_other():
    rows = table()
    found = encoded(TableEncoder(schema=SCHEMA).fit(rows), rows)["categories"]
    assert found[:, 0].tolist() == [1] * 6 + [0] * 2 + [0] * 4
    assert found[:, 1].tolist() == [1] * 6 + [0] + [2] * 5


def test_a_category_of_enough_rows_is_kept():
    codes = [[0, 0]] * RARE + [[1, 1]] * (RARE - 1)
    rows = samples([[0.0, 0.0]] * len(codes), codes)
    found = encoded(TableEncoder(schema=SCHEMA).fit(rows), rows)["categories"]
    assert found[0].tolist() == [1, 1]
    assert found[-1].tolist() == [0, 0]


def test_columns_without_values_or_without_change():
    rows = samples([[5.0, NAN], [5.0, NAN], [5.0, NAN]])
    encoding = TableEncoder(schema=SCHEMA).fit(rows)
    np.testing.assert_array_equal(encoded(encoding, rows)["numeric"], [[0, 0, 1]] * 3)
    other = encoded(encoding, samples([[7.0, 2.0]]))["numeric"]
    np.testing.assert_array_equal(other, [[2, 2, 0]])


def test_large_numbers_keep_their_differences():
    seconds = 1.6e9 + np.arange(10.0)
    rows = samples(np.stack([seconds, seconds], 1))
    found = encoded(TableEncoder(schema=SCHEMA).fit(rows), rows)["numeric"][:, 0]
    expected = (np.arange(10.0) - 4.5) / np.arange(10.0).std()
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_shapes_are_those_of_the_schema():
    encoder = TableEncoder(schema=SCHEMA)
    assert encoder.shapes(table()) == {"numeric": (3,), "categories": (2,)}
    assert encoder.levels == (4, 3)
    found = encoded(encoder.fit(table()), table())
    assert {name: value.shape[1:] for name, value in found.items()} == encoder.shapes(table())
    numbers_only = TableEncoder(schema=Schema(columns=(Column(name="a", use="number"),)))
    assert numbers_only.shapes(table()) == {"numeric": (1,)}


def test_state_goes_into_an_unfitted_encoding():
    encoder = TableEncoder(schema=SCHEMA)
    fitted, other = encoder.fit(table()), encoder.unfitted()
    other.load_state_dict(fitted.state_dict())
    for name, value in encoded(fitted, table()).items():
        np.testing.assert_array_equal(encoded(other, table())[name], value)


def test_members_may_be_leading_axes():
    encoding = TableEncoder(schema=SCHEMA).fit(table())
    given = {name: torch.as_tensor(v) for name, v in table().inputs.items()}
    doubled = encoding({name: torch.stack([v, v]) for name, v in given.items()})
    for name, value in encoding(given).items():
        torch.testing.assert_close(doubled[name][1], value)


def test_float32_inputs_give_float32():
    encoding = TableEncoder(schema=SCHEMA).fit(table())
    assert encoding({"numeric": torch.zeros(2, 2)})["numeric"].dtype == torch.float32


class _Named(torch.nn.Module):
    def __init__(self, encoding):
        super().__init__()
        self.encoding = encoding

    def forward(self, numeric, categories):
        return tuple(self.encoding({"numeric": numeric, "categories": categories}).values())


@pytest.fixture
def exported():
    encoding = TableEncoder(schema=SCHEMA).fit(table())
    given = tuple(torch.as_tensor(v) for v in table().inputs.values())
    rows = torch.export.Dim("rows")
    shapes = ({0: rows}, {0: rows})
    return torch.export.export(_Named(encoding), given, dynamic_shapes=shapes), encoding


def test_encoding_is_exported_by_torch(exported):
    program, encoding = exported
    given = [torch.as_tensor(v[:7]) for v in table().inputs.values()]
    found = program.module()(*given)
    expected = encoding(dict(zip(("numeric", "categories"), given, strict=True)))
    for left, right in zip(found, expected.values(), strict=True):
        torch.testing.assert_close(left, right)


@pytest.mark.filterwarnings("ignore")
def test_encoding_is_exported_to_onnx(exported):
    import onnxruntime

    program, encoding = exported
    written = torch.onnx.export(program, dynamo=True)
    file = io.BytesIO()
    written.save(file)
    session = onnxruntime.InferenceSession(file.getvalue())
    given = {name: v[:7] for name, v in table().inputs.items()}
    names = [node.name for node in session.get_inputs()]
    found = session.run(None, dict(zip(names, given.values(), strict=True)))
    expected = encoded(encoding, samples(given["numeric"], given["categories"]))
    for left, right in zip(found, expected.values(), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-6)
