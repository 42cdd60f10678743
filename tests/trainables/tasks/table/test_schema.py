import json

import numpy as np
import pandas as pd
import pytest

from tests.refusals import refused, text
from trainables.tasks.table.schema import Column, Schema, with_names

SCHEMA = Schema(
    columns=(
        Column(name="age", use="number"),
        Column(name="pay", use="number", missing=True),
        Column(name="plan", use="category", categories=("basic", "plus")),
        Column(name="id", use="identifier"),
        Column(name="member", use="boolean"),
    ),
    target="left",
    classes=("no", "yes"),
    shape=(2, 3),
)
FRAME = pd.DataFrame(
    {"plan": ["plus", "gold", None], "member": [True, False, True], "age": [1, 2, 3], "pay": 0.5}
)


def test_inputs_of_a_new_frame():
    inputs = SCHEMA.inputs(FRAME)
    np.testing.assert_array_equal(inputs["numeric"], [[1, 0.5, 1], [2, 0.5, 0], [3, 0.5, 1]])
    assert inputs["numeric"].dtype == np.float64
    np.testing.assert_array_equal(inputs["categories"], [[1], [-1], [-1]])
    assert inputs["categories"].dtype == np.int64


def test_what_a_new_frame_has_that_the_training_rows_have_not():
    assert SCHEMA.unseen(FRAME) == {"plan": 1}
    assert SCHEMA.unknown(FRAME.assign(left="no", id=1, colour="red")) == ("colour",)


def test_views_of_the_columns():
    assert SCHEMA.numeric == ("age", "pay", "member")
    assert SCHEMA.categorical == {"plan": ("basic", "plus")}
    assert SCHEMA.levels == (3,)
    assert SCHEMA.flagged == (1,)
    assert SCHEMA.named("identifier") == ("id",)


def test_a_missing_column_is_named_with_a_near_one():
    with refused(
        "schema.columns-missing", columns="'age'", hint=text("checks.did-you-mean", word="'Age'")
    ):
        SCHEMA.inputs(FRAME.rename(columns={"age": "Age"}))


def test_a_value_of_another_type_is_refused():
    with refused(
        "columns.bad-value", column="age", value="old", row=2, why=text("columns.not-a-number")
    ):
        SCHEMA.inputs(FRAME.assign(age=[1, "old", 3]))


def test_plain_values_there_and_back():
    values = json.loads(json.dumps(SCHEMA.to_dict()))
    assert Schema.from_dict(values) == SCHEMA


COLUMN = {"name": "a", "use": "number", "missing": False, "commas": "", "categories": []}


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"columns": 3}, "columns-not-mappings"),
        ({"columns": [{"name": "a"}]}, "keys-differ"),
        ({"columns": [COLUMN | {"use": "magic"}]}, "wrong-type"),
        ({"columns": [COLUMN | {"missing": 0}]}, "wrong-type"),
        ({"classes": [["no"]]}, "wrong-type"),
        ({"target": None}, "wrong-type"),
        ({"shape": [1.5]}, "wrong-type"),
        ({"extra": 1}, "keys-differ"),
    ],
)
def test_damaged_values_are_refused(change, kind):
    with refused(f"schema.{kind}"):
        Schema.from_dict({**SCHEMA.to_dict(), **change})


def test_duplicate_names_are_refused():
    with refused("schema.column-named-twice", columns="'a'"):
        with_names(pd.DataFrame([[1, 2, 3]], columns=["a", "b", "a"]))
    with refused("schema.column-named-twice", columns="'1'"):
        with_names(pd.DataFrame([[1, 2]], columns=[1, "1"]))
