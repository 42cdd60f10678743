import numpy as np
import pandas as pd
import pytest

from tests.refusals import refused, said_as
from trainables.tasks.table.separators import delimiter_of, said_of_commas, with_commas_read


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("a,b\n1,2\n", ","),
        ("a;b\n1,5;2,5\n", ";"),
        ("a\tb\n1\t2\n", "\t"),
        ("a|b\n1|2\n", "|"),
        ('a;b,c\n1;"x, y"\n2;z\n', ";"),
        ("name\nx\ny\n", ","),
        ('a,b\n"x; y",1\n"z",2\n', ","),
        ("a;b\n1;2\n3\n", ";"),
    ],
)
def test_delimiter_of_a_file(text, delimiter):
    assert delimiter_of(text.splitlines(keepends=True)) == delimiter


@pytest.mark.parametrize(
    ("values", "delimiter", "expected"),
    [
        (["1,234", "5"], ",", [1234, 5]),
        (["1,234.5", "-1,000,000", None], ",", [1234.5, -1e6, np.nan]),
        (["1,5", "-2,25"], ",", [1.5, -2.25]),
        (["1,5", "3"], ";", [1.5, 3]),
        (["1.234,5", "3"], ";", [1234.5, 3]),
        (["1,234,567", "2"], ";", [1234567, 2]),
        (["0,125", "0,5"], ";", [0.125, 0.5]),
    ],
)
def test_commas_in_numbers(values, delimiter, expected):
    frame, commas = with_commas_read(pd.DataFrame({"pay": values}), delimiter)
    np.testing.assert_array_equal(frame["pay"], expected)
    (said,) = said_of_commas(commas)
    assert said_as("separators.commas-read", columns="pay").fullmatch(said)


def test_commas_in_text_stay():
    frame = pd.DataFrame({"a": ["x, y", "1,5"], "b": [1, 2]})
    read, commas = with_commas_read(frame, ",")
    pd.testing.assert_frame_equal(read, frame)
    assert commas == {}


def test_commas_are_read_as_in_the_training_table():
    new = pd.DataFrame({"pay": ["1,500", "2"]})
    as_trained, _ = with_commas_read(new, ",", known={"pay": "decimal"})
    np.testing.assert_array_equal(as_trained["pay"], [1.5, 2])
    alone, _ = with_commas_read(new, ",")
    np.testing.assert_array_equal(alone["pay"], [1500, 2])
    with refused("separators.commas-differ", column="pay", known="thousands separators"):
        with_commas_read(pd.DataFrame({"pay": ["1,5"]}), ",", known={"pay": "thousands"})


def test_a_cell_longer_than_csv_takes_is_refused():
    with refused("separators.lines-not-split"):
        delimiter_of([f"a,b\n{'x' * 200_000},1\n"])


def test_commas_that_may_be_either_are_refused():
    with refused("separators.commas-ambiguous", column="pay", value="1,234"):
        with_commas_read(pd.DataFrame({"pay": ["1,234", "2"]}), ";")
