import math

import pytest

from foldsweep.numbers import (
    places_of,
    shown,
    shown_score,
    shown_seconds,
    shown_spread,
    signed,
)


@pytest.mark.parametrize(
    ("size", "places"),
    [(0.95, 4), (9.99, 4), (53.2, 3), (-53.2, 3), (1234.5, 1), (5e5, 0), (0.00123, 5), (0.0, 4)],
)
def test_places_suit_the_size(size: float, places: int) -> None:
    assert places_of(size) == places


@pytest.mark.parametrize(
    ("mean", "std", "text"),
    [
        (0.95, 0.0071, "0.9500 ± 0.0071"),
        (53.21, 2.5, "53.210 ± 2.500"),
        (0.0003, 0.05, "0.0003 ± 0.0500"),  # the larger one sets the decimal places
        (123456.7, 89.1, "123,457 ± 89"),
        (0.95, None, "0.9500"),
        (math.nan, math.nan, "nan ± nan"),
        (0.9, math.inf, "0.9000 ± inf"),
        (2e-9, 1e-9, "2.00e-09 ± 1.00e-09"),
    ],
)
def test_mean_and_deviation_have_equally_many_places(
    mean: float, std: float | None, text: str
) -> None:
    assert shown_spread(mean, std) == text


def test_no_minus_stands_before_zeros() -> None:
    assert shown(-0.00001, places=4) == "0.0000"
    assert signed(-0.00001) == "+0.0000"
    assert signed(-2.5, places=1) == "-2.5"


def test_numbers_of_parameters_are_whole() -> None:
    assert shown_score("num_params", 1234.0) == "1,234"
    assert shown_score("val_rmse", 53.21, 2.5) == "53.210 ± 2.500"


def test_short_durations_have_more_places() -> None:
    assert [shown_seconds(s) for s in (1234.56, 0.0312)] == ["1,234.6", "0.031"]
