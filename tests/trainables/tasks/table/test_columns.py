import numpy as np
import pandas as pd
import pytest

from tests.refusals import refused, text
from trainables.tasks.table.columns import (
    as_numbers,
    booleans,
    categories_of,
    codes,
    days,
    listed,
    nearest,
    numbers,
    shown,
)


def test_numbers_of_text_and_missing_values():
    column = pd.Series(["1.5", " 2 ", None, "x"], name="a")
    np.testing.assert_array_equal(numbers(column), [1.5, 2, np.nan, np.nan])


def test_booleans_as_bool_number_and_word():
    column = pd.Series([True, "false", 1, None, "maybe"], dtype=object)
    np.testing.assert_array_equal(booleans(column), [1, 0, 1, np.nan, np.nan])


@pytest.mark.parametrize(
    "values",
    [
        ["1970-01-02", "1970-01-03T12:00:00", None],
        pd.to_datetime(["1970-01-02 00:00", "1970-01-03 12:00", None]),
        pd.to_datetime(["1970-01-02 00:00", "1970-01-03 12:00", None]).tz_localize("UTC"),
    ],
)
def test_days_of_dates(values):
    np.testing.assert_array_equal(days(pd.Series(values)), [1, 2.5, np.nan])


def test_numbers_are_no_dates():
    assert np.isnan(days(pd.Series([1, 2]))).all()


def test_a_category_is_the_same_word_as_number_and_as_text():
    categories = categories_of(pd.Series([1.0, 2.0, None]))
    assert categories == ("1", "2")
    assert codes(pd.Series(["2", "1", "3", None]), categories).tolist() == [1, 0, -1, -1]
    assert codes(pd.Series([2, 1]), categories).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("values", "use", "row", "why"),
    [
        (["1", "x"], "number", 2, text("columns.not-a-number")),
        ([1.0, np.inf], "number", 2, text("columns.too-large", most=1e30)),
        ([1.0, -1e40], "number", 2, text("columns.too-large", most=1e30)),
        (["yes", True], "boolean", 1, text("columns.not-true-or-false")),
        (["31/12/2024"], "date", 1, text("columns.not-a-date")),
    ],
)
def test_a_value_of_another_type_is_refused(values, use, row, why):
    with refused("columns.bad-value", column="age", value=values[row - 1], row=row, why=why):
        as_numbers(pd.Series(values, name="age", dtype=object), use)


def test_names_in_messages():
    assert nearest("lef", ["left", "age"]) == text("checks.did-you-mean", word="'left'")
    assert nearest("xyz", ["left", "age"]) == ""
    assert listed(["a", "b", "c"], most=2) == "'a', 'b' and 1 more"


def test_whole_numbers_beyond_float64_are_refused():
    with refused("columns.bad-value", row=2, why=text("columns.too-large", most=1e30)):
        as_numbers(pd.Series([1, 10**400], name="a", dtype=object), "number")


def test_names_with_control_characters_are_shown_as_such():
    assert shown("größe (€)") == "größe (€)"
    assert shown("\x1b[31m") == "'\\x1b[31m'"
