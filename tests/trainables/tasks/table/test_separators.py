import numpy as np
import pandas as pd
import pytest

from foldsweep.errors import UserError
from trainables.tasks.table.separators import delimiter_of, with_commas_read


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
    frame, said = with_commas_read(pd.DataFrame({"pay": values}), delimiter)
    np.testing.assert_array_equal(frame["pay"], expected)
    assert len(said) == 1
    assert said[0].endswith("in pay")


def test_commas_in_text_stay():
    frame = pd.DataFrame({"a": ["x, y", "1,5"], "b": [1, 2]})
    read, said = with_commas_read(frame, ",")
    pd.testing.assert_frame_equal(read, frame)
    assert said == []


def test_commas_that_may_be_either_are_refused():
    with pytest.raises(UserError, match="'pay': 1,234 may be thousands or a decimal comma"):
        with_commas_read(pd.DataFrame({"pay": ["1,234", "2"]}), ";")
