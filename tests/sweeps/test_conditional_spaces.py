"""Spaces with conditions, choices of lists and constraints, with every sampler and storage."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

import pytest
from optuna.storages import BaseStorage, RDBStorage
from ray import tune

from search_spaces.conditions import groups, when
from search_spaces.space import Point, SearchSpace
from sweeps import history
from sweeps.gate import Gate, within
from sweeps.ledger import Asked, Ledger
from sweeps.messages import drawn_at_random
from sweeps.samplers import ANY_TREE
from sweeps.sampling import MOST_REDRAWS
from sweeps.settings import Sampler, SweepSettings
from sweeps.study import open_storage
from tests.cluster.services import PASSWORD, STUDIES, Postgres, url
from tests.refusals import refused, text
from tests.sweeps.test_same_values import SAMPLERS
from trainables.models.pairs.variants import MLP
from trainables.tasks.task import DataRequest

BOTH = ("val_accuracy", "num_params")
CONSTRAINT = text("gate.its-constraint")
WIDTHS = [(8, 16), (16, 8), 12]
Make = Callable[..., Ledger]
Reopen = Callable[[], BaseStorage]


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    return SearchSpace(
        name="tree",
        variant=MLP,
        domains={
            "dropout": when("batch_norm", False, tune.uniform(0.1, 0.5)),  # before its parent
            "lr": tune.loguniform(1e-4, 1e-2),
            "hidden": tune.choice(WIDTHS),
            "batch_norm": tune.choice([True, False]),
            "lr_schedule": groups(
                {
                    "constant": {"lr_decay": tune.uniform(0.9, 0.99)},
                    "cosine": {"weight_decay": tune.loguniform(1e-6, 1e-3), "shuffle": False},
                }
            ),
        },
        points=(Point(name="row", config={"lr": 0.5, "hidden": [8, 16], "batch_norm": True}),),
        grid={
            "lr": (1e-3, 1e-2),
            "dropout": (0.2, 0.3),
            "hidden": WIDTHS,
            "batch_norm": (True, False),
            "lr_schedule": ("constant", "cosine"),
            "lr_decay": (0.9,),
            "weight_decay": (1e-4,),
        },
    )


def narrow(config: Any) -> bool:
    return config.lr * 1e4 <= 30 or config.batch_norm


@pytest.fixture(autouse=True)
def small_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "PACK", 4)


@pytest.fixture(params=get_args(Sampler))
def sampler(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def make(space: SearchSpace, make_ledger: Make) -> Make:
    def of(
        sampler: Any, over: BaseStorage | None, *, space: SearchSpace = space, **more: Any
    ) -> Ledger:
        return make_ledger(
            over=over,
            space=space,
            sampler=sampler,
            **{
                "objective": BOTH if sampler == "nsga2" else BOTH[:1],
                "trials": SAMPLERS[sampler],
                "scheduler": "none",
                **more,
            },
        )

    return of


def searched(ledger: Ledger, trials: int) -> Iterator[Asked]:
    """Ask and tell, two trials at a time."""
    for _ in range(trials // 2):
        asked = [ledger.ask(), ledger.ask()]
        for one in asked:
            assert one is not None
            score = 1 - 50 * abs(one.values["lr"] - 5e-3) - one.values.get("dropout", 0.0)
            ledger.complete(
                one.number, [score, 100.0 + one.number][: len(ledger.settings.objective)], {}
            )
            yield one


def is_active(name: str, values: Mapping[str, Any]) -> bool:
    """Whether a parameter is active; written independently of the space."""
    if name == "dropout":
        return values["batch_norm"] is False
    if name == "lr_decay":
        return bool(values["lr_schedule"] == "constant")
    return name not in ("weight_decay", "shuffle") or values["lr_schedule"] == "cosine"


CHOSEN = ("lr", "hidden", "batch_norm", "lr_schedule", "dropout", "lr_decay", "weight_decay")


def test_only_what_is_active_is_chosen_and_kept(sampler: Any, make: Make, reopen: Reopen) -> None:
    ledger = make(sampler, reopen())
    found = list(searched(ledger, SAMPLERS[sampler]))
    seen = set()
    for asked in found[1:]:
        expected = {name for name in CHOSEN if is_active(name, asked.values)}
        assert set(asked.values) == expected
        assert set(ledger.frozen(asked.number).params) == expected
        seen |= expected
        assert asked.values["hidden"] in WIDTHS
        assert ledger.chosen(asked.number) == asked.values
        config = ledger.space.complete(asked.values)
        assert config.dropout == asked.values.get("dropout", 0.0)
        assert config.shuffle == (asked.values["lr_schedule"] == "constant")
        assert set(ledger.space.active(config.to_dict())) == {
            name for name in config.to_dict() if is_active(name, asked.values)
        }
    assert seen == set(CHOSEN) or sampler == "grid"


def resumed(make: Make, reopen: Reopen, trials: int, stop: int) -> tuple[list[Asked], Ledger]:
    """Trials of a search that a second process resumes, and the resumed ledger."""
    first = list(searched(make(reopen()), stop))
    again = make(reopen(), resume=True)
    return first + list(searched(again, trials - stop)), again


def test_a_resumed_search_has_the_values_of_one_that_went_through(
    sampler: Any, make: Make, reopen: Reopen
) -> None:
    trials = SAMPLERS[sampler] // 2 * 2
    whole = list(searched(make(sampler, None), trials))
    assert resumed(partial(make, sampler), reopen, trials, trials // 4 * 2)[0] == whole


def test_trials_that_a_kill_cut_off_are_asked_again_as_they_were(
    sampler: Any, constrained: Make, reopen: Reopen
) -> None:
    ledger = constrained(sampler, reopen())
    asked = [ledger.ask() for _ in range(6)]
    again = constrained(sampler, reopen(), resume=True)
    assert [again.ask() for _ in range(6)] == asked
    assert again.redraws == ledger.redraws
    assert again.ask() == ledger.ask()


@pytest.mark.slow
def test_tpe_takes_conditions_with_several_objectives_too(make: Make, reopen: Reopen) -> None:
    of = partial(make, "tpe", objective=BOTH)
    whole = list(searched(of(None), 26))
    assert resumed(of, reopen, 26, 14)[0] == whole
    assert len({frozenset(asked.values) for asked in whole}) > 3


@pytest.mark.cluster
def test_so_has_one_in_postgresql(
    postgres: Postgres,
    make: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    where = url(f"127.0.0.1:{postgres.port}", STUDIES)
    storages = [open_storage(where, tmp_path / "unused") for _ in range(2)]
    found, _ = resumed(partial(make, "tpe"), iter(storages).__next__, 26, 14)
    assert found == list(searched(make("tpe", None), 26))
    assert {asked.values["hidden"] for asked in found[1:]} == set(WIDTHS)
    for storage in storages:
        assert isinstance(storage, RDBStorage)
        storage.engine.dispose()


def test_an_initial_point_keeps_its_values_and_lists_come_back(make: Make, reopen: Reopen) -> None:
    asked = make("tpe", reopen()).ask()
    assert asked is not None
    assert asked.origin == "row"
    assert asked.values["lr"] == 0.5
    assert make("tpe", reopen(), resume=True).space.complete(asked.values).hidden == (8, 16)
    assert "dropout" not in asked.values


def test_a_grid_has_each_combination_that_makes_a_difference_once(
    space: SearchSpace, make: Make
) -> None:
    ledger = make("grid", None, trials=None)
    values = [asked.values for asked in iter(ledger.ask, None)]
    assert len(values) == 1 + 2 * 3 * (1 + 2) * 2 == 1 + space.num_combinations
    assert len({repr(sorted(v.items())) for v in values}) == len(values)
    for of in values[1:]:
        assert set(of) == {name for name in CHOSEN if is_active(name, of)}


def test_a_sampler_that_draws_conditional_values_at_random_says_so(
    sampler: Any, space: SearchSpace
) -> None:
    said = drawn_at_random(SweepSettings(sampler=sampler), space)
    if sampler in ANY_TREE:
        assert said is None
    else:
        keys = "dropout, lr_decay, weight_decay"
        assert said == text("messages.drawn-at-random", space="tree", sampler=sampler, keys=keys)


def test_tpe_finds_the_peak_of_a_conditional_value(make: Make) -> None:
    """Of the last 20 trials, a random search would come this close with 4."""
    space = SearchSpace(
        name="peak",
        variant=MLP,
        domains={
            "batch_norm": tune.choice([True, False]),
            "dropout": when("batch_norm", True, tune.uniform(0.0, 0.5)),
        },
    )
    ledger = make("tpe", None, space=space, trials=60, order="arrival")
    dropouts = []
    for asked in iter(ledger.ask, None):
        score = 1 - abs(asked.values.get("dropout", 0.5) - 0.3)
        ledger.complete(asked.number, [score], {})
        if asked.number >= 40:
            dropouts.append(asked.values.get("dropout", 1.0))
    assert sum(abs(dropout - 0.3) < 0.05 for dropout in dropouts) >= 10


def test_a_changed_condition_is_another_space(
    space: SearchSpace, make: Make, reopen: Reopen
) -> None:
    make("random", reopen()).ask()
    other = when("batch_norm", True, tune.uniform(0.1, 0.5))
    changed = replace(space, domains={**space.domains, "dropout": other})
    with refused("fingerprints.changed-since", part="space"):
        make("random", reopen(), resume=True, space=changed)


# Constraints ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data() -> Any:
    settings = SweepSettings(dataset="digits", train_pairs=60, test_pairs=30)
    return MLP.task.load(DataRequest(seed=0, options=settings.options_of(MLP.task)))


@pytest.fixture(scope="module")
def narrower(space: SearchSpace, data: Any) -> SearchSpace:
    """The space with the constraint `narrow`; checking all its combinations takes seconds."""
    smaller, _ = within(replace(space, constraint=narrow), [], data, grid=True)
    return smaller


@pytest.fixture
def constrained(narrower: SearchSpace, data: Any, make: Make) -> Make:
    """Like `make`, for a space with the constraint `narrow`."""
    return partial(make, space=narrower, gate=Gate(narrower, [], data))


def test_what_may_not_be_trained_is_drawn_again_and_is_no_trial(
    sampler: Any, constrained: Make, reopen: Reopen
) -> None:
    trials = SAMPLERS[sampler] // 2 * 2
    life = partial(constrained, sampler)
    ledger = life(None)
    whole = list(searched(ledger, trials))
    assert all(narrow(ledger.space.complete(asked.values)) for asked in whole)
    assert [asked.number for asked in whole] == list(range(trials))
    assert ledger.study.length() == trials
    assert (ledger.redraws > 0) == (sampler != "grid")
    found, again = resumed(life, reopen, trials, trials // 4 * 2)
    assert found == whole
    assert again.redraws == ledger.redraws
    assert life(reopen(), resume=True).redraws == ledger.redraws


def test_what_is_never_met_is_drawn_so_often_and_then_refused(
    constrained: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = constrained("tpe", None)
    ledger.ask()
    monkeypatch.setattr(Gate, "passes", lambda self, config: False)
    asked = ledger.ask()
    assert asked is not None
    assert ledger.redraws == MOST_REDRAWS
    with refused("gate.no-configuration", conditions=CONSTRAINT):
        ledger.gate.require(ledger.space.complete(asked.values))


def test_a_point_that_may_not_be_trained_is_left_out_and_said(
    space: SearchSpace, data: Any
) -> None:
    small = replace(space, constraint=lambda config: config.lr < 0.1)
    smaller, said = within(small, [], data, grid=False)
    assert smaller.points == []
    left_out = {"space": "tree", "point": "row", "conditions": CONSTRAINT}
    assert said == [text("gate.point-left-out", **left_out)]
    assert within(space, [], data, grid=True) == (space, [])


def test_points_of_a_grid_that_may_not_be_trained_are_left_out_and_said(
    space: SearchSpace, data: Any
) -> None:
    smaller, said = within(replace(space, constraint=narrow), [], data, grid=True)
    left = [smaller.combination(i) for i in range(smaller.num_combinations)]
    assert all(narrow(space.complete(values)) for values in left)
    assert len(left) == 36 - 12
    met = {"space": "tree", "met": 24, "points": 36, "conditions": CONSTRAINT}
    assert said == [text("gate.grid-points-meet", **met)]


def test_another_constraint_is_another_space(
    space: SearchSpace, constrained: Make, reopen: Reopen
) -> None:
    constrained("random", reopen()).ask()
    other = replace(space, constraint=lambda config: config.lr < 1)
    with refused("fingerprints.changed-since", part="space"):
        constrained("random", reopen(), resume=True, space=other, gate=None)
