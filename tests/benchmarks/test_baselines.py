"""Table that compares spaces with their baselines."""

import math

import pytest

from baselines import SPACES, Measured
from search_spaces.loading import load_space


def measured(trial: int = 7) -> Measured:
    return Measured(
        space="mlp", seed=3, trial=trial, best=(0.9, 0.8, 0.85), baseline=(0.8, 0.75, 0.75)
    )


def test_differences_are_paired_by_round() -> None:
    mean, error = measured().difference
    assert mean == pytest.approx(0.25 / 3)
    assert error == pytest.approx(0.0288675 / math.sqrt(3), rel=1e-4)


def test_a_row_shows_both_and_their_difference_in_standard_errors() -> None:
    shown = ("mlp", "3", "0.7667 ± 0.0289", "0.8500 ± 0.0500", "+0.0833 ± 0.0167", "+5.0")
    assert measured().row() == shown
    assert measured(0).row() == (*shown[:3], "the baseline", "", "")


def test_its_spaces_have_a_baseline() -> None:
    assert all(load_space(name).points for name in SPACES)
