"""Messages at the start of a sweep."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from search_spaces.loading import load_space
from search_spaces.space import SearchSpace
from sweeps.messages import (
    described,
    sampled_by,
    stopping,
)
from sweeps.settings import SweepSettings
from trainables.tasks.larger_digit import TASK, load
from trainables.tasks.options import ShippedOptions, TableOptions
from trainables.tasks.tables import table_task
from trainables.tasks.task import DataRequest


def test_what_is_swept_is_said_in_one_line(settings: SweepSettings) -> None:
    data = load(DataRequest(seed=0, options=ShippedOptions(dataset="digits", train_pairs=20)))
    assert described(settings, TASK, data) == (
        "small; 6 trials of 5 folds on 20 digits pairs; tpe with asha"
    )
    iris = table_task(TableOptions(data="iris"), seed=0, objective=None)
    changed = replace(settings, sampler="grid", trials=None, time_budget=5.0, space=("a/b.py",))
    assert described(changed, iris, iris.load(DataRequest(seed=0))) == (
        "b; the whole grid or 5 s of 5 folds on 120 iris rows; grid with asha"
    )


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"trials": 5}, "small: 4 sampled trials: no early stopping (asha needs 9)"),
        ({"trials": 2}, "small: 1 sampled trial: no early stopping (asha needs 9)"),
        (
            {"trials": 9, "scheduler": "median"},
            "small: 8 sampled trials: no early stopping (median needs 9)",
        ),
        ({"trials": 10}, None),
        ({"trials": None}, None),
        ({"trials": 5, "scheduler": "none"}, None),
        ({"trials": 5, "epochs": 1}, None),
        ({"trials": 5, "objective": ("val_accuracy", "num_params")}, None),
    ],
)
def test_a_space_of_few_trials_says_that_none_is_stopped_early(
    settings: SweepSettings, space: SearchSpace, values: dict[str, Any], said: str | None
) -> None:
    assert stopping(replace(settings, **values), space, None) == said


def test_a_small_grid_says_that_none_is_stopped_early(
    settings: SweepSettings, make_space: Callable[..., SearchSpace]
) -> None:
    space = make_space(domains={}, grid={"lr": (0.1, 0.2), "hidden": (8, 16)})
    said = stopping(replace(settings, sampler="grid", trials=None), space, None)
    assert said == "small: 4 points of the grid: no early stopping (asha needs 9)"


def test_what_is_fitted_at_once_says_nothing_of_early_stopping(settings: SweepSettings) -> None:
    iris = table_task(TableOptions(data="iris"), seed=0, objective=None)
    few = replace(settings, trials=2)
    assert stopping(few, load_space("logistic", iris), None) is None
    assert stopping(few, load_space("random_forest", iris), None) is not None


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        (5, 30, "small: 29 sampled trials: early stopping from here on (asha)"),
        (5, 6, "small: 5 sampled trials: no early stopping (asha needs 9)"),
        (5, 5, "small: 4 sampled trials: no early stopping (asha needs 9)"),
        (30, 30, None),
        (30, 60, None),
    ],
)
def test_a_resumed_sweep_says_from_where_trials_are_stopped_early(
    settings: SweepSettings, space: SearchSpace, before: int, now: int, said: str | None
) -> None:
    stored = replace(settings, trials=before)
    assert stopping(replace(settings, trials=now), space, stored) == said


@pytest.mark.parametrize(
    ("changes", "concurrency", "expected"),
    [
        ({}, 4, None),
        ({}, 5, "cnn_aux: no more than 4 new trials at a time, so that the sweep is the same"),
        ({"lag": (16,)}, 5, None),
        ({"sampler": "random"}, 64, None),
        ({"order": "arrival"}, 64, None),
        ({"scheduler": "median"}, 1, "cnn_aux: the sampler sees results as they arrive"),
        ({"objective": ("val_accuracy", "num_params")}, 1, "cnn_aux: the sampler sees results"),
    ],
)
def test_the_start_says_what_order_costs_and_where_there_is_none(
    settings: SweepSettings, changes: dict[str, Any], concurrency: int, expected: str | None
) -> None:
    line = sampled_by(replace(settings, **changes), load_space("cnn_aux"), concurrency)
    assert (line is None) == (expected is None)
    assert (line or "").startswith(expected or "")
