from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from ray import tune

from search_spaces.space import SearchSpace
from sweeps.ledger import Asked, Ledger
from sweeps.samplers import make_sampler
from sweeps.study import open_storage
from trainables.models.pairs.variants import MLP

ONE: dict[str, tuple[int, int]] = {
    "tpe": (16, 12),
    "gp": (13, 11),
    "cmaes": (12, 5),
    "qmc": (10, 4),
    "random": (6, 3),
    "grid": (7, 3),
}
"""Sweeps with one objective, by sampler: number of trials, and of those in the first process.

A second process continues. The number of trials exceeds a sampler's first random ones.
"""
SEVERAL = {"nsga2": (24, 21), "tpe": (14, 11), "random": (5, 2)}


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    return SearchSpace(
        name="small",
        variant=MLP,
        domains={
            "lr": tune.loguniform(1e-4, 1e-2),
            "hidden": tune.qrandint(8, 64, 8),
            "lr_schedule": tune.choice(["constant", "cosine"]),
        },
        grid={"lr": (1e-3, 1e-2), "hidden": (8, 16), "lr_schedule": ("constant", "cosine")},
    )


@pytest.fixture
def search(
    space: SearchSpace, tmp_path: Path, make_ledger: Callable[..., Ledger]
) -> Callable[..., list[Asked]]:
    """Ask and tell; after each number of trials in `stops`, another process continues."""

    def run(name: str, trials: int, *stops: int, **settings: Any) -> list[Asked]:
        journal = tmp_path / f"{name}-{len(list(tmp_path.iterdir()))}.journal"
        asked: list[Asked] = []
        for stop in (*stops, trials):
            ledger = make_ledger(
                over=open_storage(None, journal),
                space=space,
                resume=bool(asked),
                trials=trials,
                sampler=name,
                **settings,
            )
            asked += list(told(ledger, stop - len(asked)))
        return asked

    return run


def told(ledger: Ledger, trials: int) -> Iterator[Asked]:
    for _ in range(trials):
        asked = ledger.ask()
        assert asked is not None
        values = asked.values
        score = 1 - 50 * abs(values["lr"] - 5e-3) - 0.01 * (values["lr_schedule"] == "cosine")
        scores = [score, float(values["hidden"])][: len(ledger.settings.objective)]
        ledger.complete(asked.number, scores, {})
        yield asked


@pytest.mark.parametrize("name", ONE)
def test_a_search_in_two_processes_finds_what_one_finds(
    name: str, search: Callable[..., list[Asked]]
) -> None:
    trials, stop = ONE[name]
    assert search(name, trials, stop) == search(name, trials)


@pytest.mark.parametrize("name", SEVERAL)
def test_so_does_a_search_for_several_objectives(
    name: str, search: Callable[..., list[Asked]]
) -> None:
    trials, stop = SEVERAL[name]
    objective = ("val_accuracy", "num_params")
    found = search(name, trials, stop, objective=objective)
    assert found == search(name, trials, objective=objective)


@pytest.mark.parametrize("name", [name for name in ONE if name != "grid"])
def test_another_seed_searches_elsewhere(name: str, search: Callable[..., list[Asked]]) -> None:
    found = [[asked.values for asked in search(name, 4, seed=seed)] for seed in (0, 1)]
    assert not any(values in found[1] for values in found[0])


@pytest.mark.parametrize("name", [name for name in ONE if name != "grid"])
def test_trials_in_flight_at_a_time_are_not_alike(
    name: str, space: SearchSpace, make_ledger: Callable[..., Ledger]
) -> None:
    ledger = make_ledger(space=space, sampler=name)
    values = [asked.values for asked in iter(ledger.ask, None)]
    assert len({v["lr"] for v in values}) == 6


def test_a_guided_search_finds_the_peak(search: Callable[..., list[Asked]]) -> None:
    """Of 20 trials, a random search would find it with 4."""
    learning_rates = [asked.values["lr"] for asked in search("tpe", 40)[20:]]
    assert sum(abs(lr - 5e-3) < 2e-3 for lr in learning_rates) >= 7


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("tpe", optuna.samplers.TPESampler),
        ("gp", optuna.samplers.GPSampler),
        ("cmaes", optuna.samplers.CmaEsSampler),
        ("qmc", optuna.samplers.QMCSampler),
        ("nsga2", optuna.samplers.NSGAIISampler),
        ("random", optuna.samplers.RandomSampler),
        ("grid", optuna.samplers.RandomSampler),
    ],
)
def test_each_name_has_its_sampler(name: Any, kind: type) -> None:
    assert type(make_sampler(name, seed=1, trial_seed=2)) is kind
