from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Union

import pytest

from foldsweep.checks import described, fits

Number = Union[int, str]  # noqa: UP007  # as a user may write it

FITTING = [
    (3, int),
    (3, float),
    (3.5, float),
    (True, bool),
    ("a", str),
    (None, None | int),
    (3, int | None),
    (3, Number),
    ("a", Literal["a", "b"]),
    (2, Literal[1, 2]),
    ((1, 2), tuple[int, ...]),
    ((), tuple[int, ...]),
    ([1.0, 2], list[float]),
    ({"a": 1}, dict[str, int]),
    ({"a": [1]}, dict[str, Any]),
    ({}, dict),
    ([], list),
    (Path("a"), Path | None),
    ("anything", Any),
    ((1, 2), int | tuple[int, ...]),
    ({"a": 1}, Mapping[str, int]),  # not known here
]
WRONG = [
    (True, int),
    (True, float),
    (False, int | None),
    (3.0, int),
    ("3", int),
    (1, bool),
    (None, str),
    (3, str),
    ("c", Literal["a", "b"]),
    (True, Literal[1, 2]),
    (1.0, Literal[1, 2]),
    ([1, 2], tuple[int, ...]),
    ((1, "2"), tuple[int, ...]),
    ((1, True), tuple[int, ...]),
    ([1, "2"], list[float]),
    ({"a": "1"}, dict[str, int]),
    ({1: 1}, dict[str, int]),
    ([], dict),
    ("a", Path | None),
]


@pytest.mark.parametrize(("value", "hint"), FITTING, ids=str)
def test_a_value_of_the_type_fits(value: object, hint: Any) -> None:
    assert fits(value, hint)


@pytest.mark.parametrize(("value", "hint"), WRONG, ids=str)
def test_another_value_does_not(value: object, hint: Any) -> None:
    assert not fits(value, hint)


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (int, "int"),
        (int | None, "int or None"),
        (Literal["a", 2], "a or 2"),
        (tuple[int, ...], "tuple[int, ...]"),
        (int | tuple[int, ...], "int or tuple[int, ...]"),
        (dict[str, int], "dict[str, int]"),
        (dict, "dict"),
    ],
)
def test_a_type_is_said_in_words(hint: Any, words: str) -> None:
    assert described(hint) == words
