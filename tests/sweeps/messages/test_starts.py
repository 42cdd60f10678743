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
from tests.refusals import text
from trainables.tasks.larger_digit import TASK, load
from trainables.tasks.options import ShippedOptions, TableOptions
from trainables.tasks.tables import table_task
from trainables.tasks.task import DataRequest


def test_what_is_swept_is_said_in_one_line(settings: SweepSettings) -> None:
    data = load(DataRequest(seed=0, options=ShippedOptions(dataset="digits", train_pairs=20)))
    assert described(settings, TASK, data) == text(
        "messages.described",
        spaces="small",
        budget=text("messages.trials", trials=6),
        folds=5,
        each="",
        rows="20 digits pairs",
        sampler="tpe",
        scheduler="asha",
    )
    iris = table_task(TableOptions(data="iris"), seed=0, objective=None)
    changed = replace(settings, sampler="grid", trials=None, time_budget=5.0, space=("a/b.py",))
    assert described(changed, iris, iris.load(DataRequest(seed=0))) == text(
        "messages.described",
        spaces="b",
        budget=text("messages.whole-grid") + text("messages.or-seconds", seconds=5),
        folds=5,
        each="",
        rows="120 iris rows",
        sampler="grid",
        scheduler="asha",
    )


def too_few(trials: str, scheduler: str = "asha") -> str:
    return text(
        "messages.too-few-trials", space="small", trials=trials, scheduler=scheduler, least=9
    )


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"trials": 5}, too_few("4 sampled trials")),
        ({"trials": 2}, too_few("1 sampled trial")),
        (
            {"trials": 9, "scheduler": "median"},
            too_few("8 sampled trials", "median"),
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
    assert said == too_few(text("messages.of-the-grid", points="4 points"))


def test_what_is_fitted_at_once_says_nothing_of_early_stopping(settings: SweepSettings) -> None:
    iris = table_task(TableOptions(data="iris"), seed=0, objective=None)
    few = replace(settings, trials=2)
    assert stopping(few, load_space("logistic", iris), None) is None
    assert stopping(few, load_space("random_forest", iris), None) is not None


NOW = text("messages.stops-early-now", space="small", trials="29 sampled trials", scheduler="asha")


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        (5, 30, NOW),
        (5, 6, too_few("5 sampled trials")),
        (5, 5, too_few("4 sampled trials")),
        (30, 30, None),
        (30, 60, None),
    ],
)
def test_a_resumed_sweep_says_from_where_trials_are_stopped_early(
    settings: SweepSettings, space: SearchSpace, before: int, now: int, said: str | None
) -> None:
    stored = replace(settings, trials=before)
    assert stopping(replace(settings, trials=now), space, stored) == said


AS_THEY_ARRIVE = text("messages.order-of-arrival", space="cnn_aux")


@pytest.mark.parametrize(
    ("changes", "concurrency", "expected"),
    [
        ({}, 4, None),
        ({}, 5, text("messages.limited-by-lag", space="cnn_aux", most=4, processes=5)),
        ({"lag": (16,)}, 5, None),
        ({"sampler": "random"}, 64, None),
        ({"order": "arrival"}, 64, None),
        ({"scheduler": "median"}, 1, AS_THEY_ARRIVE),
        ({"objective": ("val_accuracy", "num_params")}, 1, AS_THEY_ARRIVE),
    ],
)
def test_the_start_says_what_order_costs_and_where_there_is_none(
    settings: SweepSettings, changes: dict[str, Any], concurrency: int, expected: str | None
) -> None:
    line = sampled_by(replace(settings, **changes), load_space("cnn_aux"), concurrency)
    assert line == expected
