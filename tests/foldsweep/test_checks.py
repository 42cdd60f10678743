from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, Union

import numpy as np
import pytest

from foldsweep.checks import brief, described, fits, meant

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
    ({"a": 1}, Mapping[str, int]),  # any value fits a type that `fits` cannot check
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
    (10**400, int),
    (10**400, float),
    (-(2**64), int | None),
]
MEANT: list[tuple[Any, Any, Any]] = [
    (4.0, int, 4),
    (4.0, int | None, 4),
    (4.0, int | tuple[int, ...], 4),
    ([4.0, 5], int | tuple[int, ...], (4, 5)),
    (np.int64(4), int, 4),
    (np.float32(4), int, 4),
    (np.float64(0.5), float, 0.5),
    (np.bool_(True), bool, True),
    (np.str_("a"), Literal["a", "b"], "a"),
    (np.array(3), int, 3),
    (np.array([3.0, 4.0]), tuple[int, ...], (3, 4)),
    (2.0, Literal[1, 2], 2),
]
OTHER = [
    (4.5, int),
    (float("nan"), int),
    (float("inf"), int | None),
    (np.float64(4.5), int),
    (np.int64(1), bool),
    (np.True_, int),
    ("4", int),
    (Fraction(4), int),
    (1.0, bool),
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


@pytest.mark.parametrize(("value", "hint", "expected"), MEANT, ids=str)
def test_a_number_in_another_guise_is_taken_as_what_it_means(
    value: Any, hint: Any, expected: Any
) -> None:
    taken = meant(value, hint)
    assert (taken, type(taken)) == (expected, type(expected))
    assert fits(taken, hint)


@pytest.mark.parametrize(("value", "hint"), OTHER, ids=str)
def test_what_means_nothing_else_still_does_not_fit(value: Any, hint: Any) -> None:
    assert not fits(meant(value, hint), hint)


def test_a_value_is_shown_in_a_line_however_large_or_deep() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    shared: list[Any] = [0]
    for _ in range(40):
        shared = [shared] * 10
    for value in (
        10**400,
        -(10**100_000),
        deep,
        shared,
        "a" * 10**6,
        {i: i for i in range(10**5)},
    ):
        assert len(brief(value)) < 500
    assert brief({"a": (1, 2.5, None)}) == "{'a': (1, 2.5, None)}"
    while deep:
        deep = deep.pop()  # Python can free such deep nesting only level by level
