import numpy as np
import pandas as pd
import pytest

from tests.refusals import refused, text
from trainables.tasks.table.inference import column_of, columns_of
from trainables.tasks.table.schema import Column

N = 100
RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("values", "use"),
    [
        (RANDOM.normal(size=N), "number"),
        (RANDOM.integers(0, 9, N), "number"),
        (RANDOM.permutation(10_000)[:N], "number"),
        ([True, False] * 50, "boolean"),
        ([True, None] * 50, "boolean"),
        (["True", "false"] * 50, "boolean"),
        (pd.date_range("2020-01-01", periods=N), "date"),
        (pd.date_range("2020-01-01", periods=N).strftime("%Y-%m-%d"), "date"),
        (list("ab") * 50, "category"),
        (["1", "2"] * 50, "category"),
        (pd.Categorical([1, 2] * 50), "category"),
        (["2020-01-01", "soon"] * 50, "category"),
        ([1, "a"] * 50, "category"),
        ([1.5] * N, "constant"),
        ([None] * N, "constant"),
        (["x"] * N, "constant"),
        ([1, None] * 50, "number"),
        (["x", None] * 50, "category"),
        ([f"C{i}" for i in range(N)], "identifier"),
        ([f"C{i % 60}" for i in range(N)], "identifier"),
        (range(N), "identifier"),
        (RANDOM.permutation(N), "identifier"),
    ],
)
def test_use_of_a_column(values, use):
    assert column_of(pd.Series(values, name="a")).use == use


def test_whole_numbers_named_like_an_identifier():
    values = RANDOM.permutation(10**6)[:N]
    assert column_of(pd.Series(values, name="customer_id")).use == "identifier"
    assert column_of(pd.Series(values, name="CustomerID")).use == "identifier"
    assert column_of(pd.Series(values, name="humid")).use == "number"
    assert column_of(pd.Series(values % 10, name="region_id")).use == "number"


def test_a_pandas_category_of_numbers_and_a_word_is_meant():
    values = pd.Categorical([str(i % 90) for i in range(900)] + ["?"] * 100)
    assert column_of(pd.Series(values, name="a")).use == "category"


def test_text_of_a_text_file_may_be_numbers():
    assert column_of(pd.Series(["1", "2.5"] * 50, name="a"), text_numbers=True).use == "number"


def test_a_category_knows_its_values_and_whether_some_are_missing():
    column = column_of(pd.Series(["b", None, "a"] * 30, name="a"))
    assert column == Column(name="a", use="category", missing=True, categories=("a", "b"))


@pytest.mark.parametrize(
    ("values", "kind", "named"),
    [
        (
            [f"v{i % 1500}" for i in range(4000)],
            "inference.too-many-categories",
            {"texts": 1500, "rows": 4000},
        ),
        (
            [str(i % 90) for i in range(N)] + ["?"],
            "inference.words-among-numbers",
            {"words": "'?'"},
        ),
        ([[1, 2]] * 3, "inference.values-not-single", {"type": "list", "value": "[1, 2]"}),
        (["a", [1, 2], "b"], "inference.values-not-single", {"type": "list", "value": "[1, 2]"}),
        ([b"x", b"y"] * 3, "inference.values-not-single", {"type": "bytes"}),
        ([1j, 2j], "inference.column-type-unusable", {"type": "complex128"}),
        (
            pd.to_timedelta([1, 2], unit="s"),
            "inference.column-type-unusable",
            {"type": pd.to_timedelta([1, 2], unit="s").dtype},
        ),
        ([1.0, np.inf, 3.0], "columns.bad-value", {"value": np.inf, "row": 2}),
    ],
)
def test_a_column_that_cannot_be_used_is_refused(values, kind, named):
    with refused(kind, column="a", **named):
        column_of(pd.Series(values, name="a"))


def test_dropped_columns_are_kept_in_the_schema():
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [[1], [2]]})
    columns = columns_of(frame, dropped=["b"], text_numbers=False)
    assert [column.use for column in columns] == ["number", "dropped"]


def test_a_column_to_drop_must_exist():
    with refused(
        "inference.dropped-column-unknown",
        column="ag",
        hint=text("checks.did-you-mean", word="'age'"),
    ):
        columns_of(pd.DataFrame({"age": [1, 2]}), dropped=["ag"], text_numbers=False)


def test_no_usable_column_is_refused():
    with refused("inference.no-column-left", columns="'a' (constant)"):
        columns_of(pd.DataFrame({"a": [1, 1]}), dropped=[], text_numbers=False)
    with refused("inference.no-column-left", columns=text("inference.no-columns")):
        columns_of(pd.DataFrame(index=range(3)), dropped=[], text_numbers=False)
