import math
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import FrozenTrial, TrialState
from ray import tune

from foldsweep.errors import UserError
from search_spaces.space import Point, SearchSpace
from sweeps.ended import FAILURE_ATTR, POINT_ATTR, RESULT_ATTR, STOPPED_AT, failure_of
from sweeps.ledger import DEFAULT_TRIALS, ERROR_LENGTH, Asked, Ledger
from sweeps.study import StoredStudy, open_storage
from tests.sweeps.earlier import EarlierLedger

MakeLedger = Callable[..., Ledger]
MakeSpace = Callable[..., SearchSpace]
Reopen = Callable[[], BaseStorage]

BASELINE = {"lr": 0.5, "batch_size": 7, "dropout": 0.9, "hidden": 13, "weight_decay": 0.25}
NEAREST = {"lr": 1e-2, "batch_size": 16, "dropout": 0.6, "hidden": 16}
GRID = {"lr": (1e-3, 1e-2), "hidden": (8, 16, 24)}
LARGER_GRID = {**GRID, "batch_size": (16, 32)}
ENOUGH = 10
"""Trials, the baseline included, that are enough for early stopping."""


@pytest.fixture
def grid_space(make_space: MakeSpace) -> SearchSpace:
    domains = {"lr": tune.loguniform(1e-4, 1e-1), "hidden": tune.randint(4, 99)}
    return make_space(domains=domains, grid=GRID, points=())


def complete(ledger: Ledger, asked: Asked, score: float = 0.5) -> None:
    ledger.complete(asked.number, [score], {"num_params": 3})


def ask(ledger: Ledger) -> Asked:
    asked = ledger.ask()
    assert asked is not None
    return asked


def study_of(storage: BaseStorage) -> optuna.Study:
    """The study as any other program finds it."""
    return optuna.load_study(study_name="first/small", storage=storage)


def trials_of(ledger: Ledger) -> list[FrozenTrial]:
    return study_of(ledger.study.storage).trials


# Points to try first ----------------------------------------------------------------------------


def test_the_baseline_comes_first_and_exactly(make_ledger: MakeLedger) -> None:
    ledger = make_ledger()
    first, second = ask(ledger), ask(ledger)
    assert first.origin == "report/row"
    assert {key: first.values[key] for key in BASELINE} == BASELINE
    assert second.origin is None
    assert set(second.values) == set(ledger.distributions)


def test_no_trial_looks_through_all_that_were_before_it(
    make_ledger: MakeLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each would take longer than the one before."""
    ledger = make_ledger()
    looked: list[object] = []
    storage = ledger.study.storage
    look = storage.get_all_trials
    monkeypatch.setattr(
        storage, "get_all_trials", lambda *args, **kw: looked.append(args) or look(*args, **kw)
    )
    asked = ask(ledger)
    ledger.report(asked.number, 3, 0.5)
    ledger.frozen(asked.number)
    before = ledger.trials_left
    complete(ledger, asked)
    assert ledger.trials_left == before - 1
    assert not looked


def test_the_sampler_is_told_the_nearest_of_the_baseline(make_ledger: MakeLedger) -> None:
    ledger = make_ledger()
    params = ledger.frozen(ask(ledger).number).params
    assert {key: params[key] for key in NEAREST} == NEAREST
    assert set(params) == set(ledger.distributions)


def test_a_value_without_a_nearest_is_tried_all_the_same(
    make_space: MakeSpace, make_ledger: MakeLedger
) -> None:
    domains = {"lr": tune.uniform(0, 1), "lr_schedule": tune.choice(["cosine"])}
    point = Point(name="row", config={"lr": 0.25, "lr_schedule": "constant"})
    asked = ask(make_ledger(space=make_space(domains=domains, points=(point,))))
    assert asked.values == {"lr": 0.25, "lr_schedule": "constant"}


def test_tuples_of_a_point_survive_the_study(
    reopen: Reopen, make_space: MakeSpace, make_ledger: MakeLedger
) -> None:
    point = Point(name="wide", config={"hidden": (8, 4), "lr": 1e-3})
    space = make_space(points=(point,))
    asked = ask(make_ledger(over=reopen(), space=space))
    config = space.complete(asked.values).to_dict()
    assert (config["hidden"], config["lr"]) == ((8, 4), 1e-3)


def test_points_are_put_into_the_study_when_they_run_and_once(
    reopen: Reopen, make_ledger: MakeLedger
) -> None:
    make_ledger(over=reopen())
    for _ in range(2):
        ledger = make_ledger(over=reopen(), resume=True)
        assert trials_of(ledger) == []
    assert ask(ledger).origin == "report/row"
    assert ask(ledger).origin is None
    (point, _) = trials_of(ledger)
    assert point.system_attrs["fixed_params"] == NEAREST
    again = make_ledger(over=reopen(), resume=True)
    assert [ask(again).origin for _ in range(3)] == ["report/row", None, None]


@pytest.mark.parametrize(
    ("enqueued", "begun"), [(0, False), (1, False), (2, False), (3, False), (3, True)]
)
def test_points_that_an_earlier_version_put_into_the_study_are_tried_once(
    enqueued: int, begun: bool, reopen: Reopen, make_space: MakeSpace, make_ledger: MakeLedger
) -> None:
    """It did so before the first trial; a kill may have come in between."""
    points = [Point(name=f"row {i}", config={"lr": 1e-3 * (i + 1)}) for i in range(3)]
    space = make_space(points=points)
    earlier = EarlierLedger(reopen(), make_ledger(space=space), enqueued=enqueued)
    if begun:
        earlier.study.ask()
    ledger = make_ledger(over=reopen(), space=space, resume=True)
    asked = [ask(ledger) for _ in range(5)]
    assert [a.origin for a in asked] == ["row 0", "row 1", "row 2", None, None]
    assert [a.number for a in asked] == [0, 1, 2, 3, 4]
    assert [a.values["lr"] for a in asked[:3]] == [1e-3, 2e-3, 3e-3]
    for a in asked:
        complete(ledger, a)
    assert [t.state for t in trials_of(ledger)] == [TrialState.COMPLETE] * 5


# The budget -------------------------------------------------------------------------------------


def test_the_budget_counts_all_that_ever_started(reopen: Reopen, make_ledger: MakeLedger) -> None:
    ledger = make_ledger(over=reopen(), trials=4)
    complete(ledger, ask(ledger))
    ledger.fail(ask(ledger).number, "broken")
    ask(ledger)
    assert (ledger.budget, ledger.trials_left, len(ledger.ended())) == (4, 2, 2)
    again = make_ledger(over=reopen(), resume=True, trials=4)
    assert again.trials_left == 2
    numbers = [asked.number for asked in iter(again.ask, None)]
    assert numbers == [2, 3]
    assert again.trials_left == 2
    for number in numbers:
        again.complete(number, [0.5], {})
    assert again.trials_left == 0
    assert again.ask() is None


def test_a_resumed_sweep_may_have_more_trials(make_ledger: MakeLedger) -> None:
    ledger = make_ledger(trials=2)
    for asked in iter(ledger.ask, None):
        complete(ledger, asked)
    more = make_ledger(resume=True, trials=3)
    assert (more.trials_left, ask(more).number, more.ask()) == (1, 2, None)


def test_or_fewer_than_it_has_had(make_ledger: MakeLedger) -> None:
    ledger = make_ledger(trials=5)
    for _ in range(3):
        complete(ledger, ask(ledger))
    fewer = make_ledger(resume=True, trials=2)
    assert (fewer.trials_left, fewer.ask()) == (0, None)


def test_trials_that_were_cut_off_end_even_beyond_the_budget(make_ledger: MakeLedger) -> None:
    ledger = make_ledger(trials=5)
    for _ in range(3):
        ask(ledger)
    fewer = make_ledger(resume=True, trials=1)
    assert fewer.trials_left == 3
    assert [asked.number for asked in iter(fewer.ask, None)] == [0, 1, 2]


def test_without_a_number_there_are_some_trials(make_ledger: MakeLedger) -> None:
    assert make_ledger(trials=None).budget == DEFAULT_TRIALS


@pytest.mark.parametrize(
    ("reopen", "trials"),
    [("journal", None), ("sqlite", None), ("journal", 6), ("journal", 100)],
    indirect=["reopen"],
)
def test_a_grid_is_tried_once_and_whole(
    reopen: Reopen, grid_space: SearchSpace, make_ledger: MakeLedger, trials: int | None
) -> None:
    found = []
    resume = False
    for stop in (2, 100):
        ledger = make_ledger(
            over=reopen(), space=grid_space, sampler="grid", trials=trials, resume=resume
        )
        while len(found) < stop and (asked := ledger.ask()) is not None:
            found.append((asked.values["lr"], asked.values["hidden"]))
            complete(ledger, asked)
        resume = True
    assert sorted(found) == sorted((lr, hidden) for lr in GRID["lr"] for hidden in GRID["hidden"])
    assert ledger.trials_left == 0


def test_a_baseline_comes_before_the_grid(make_space: MakeSpace, make_ledger: MakeLedger) -> None:
    ledger = make_ledger(space=make_space(domains={}, grid=GRID), sampler="grid", trials=None)
    asked = list(iter(ledger.ask, None))
    assert [a.origin for a in asked] == ["report/row"] + ["grid"] * 6
    assert asked[0].values["lr"] == BASELINE["lr"]


def test_a_part_of_a_grid_may_be_tried(grid_space: SearchSpace, make_ledger: MakeLedger) -> None:
    ledger = make_ledger(space=grid_space, sampler="grid", trials=2)
    assert len(list(iter(ledger.ask, None))) == 2


def test_a_space_without_a_grid_is_refused(make_ledger: MakeLedger, make_space: MakeSpace) -> None:
    with pytest.raises(UserError, match="space small defines no grid; use another --sampler"):
        make_ledger(sampler="grid")
    with pytest.raises(UserError, match="the grid of space small leaves batch_size, dropout,"):
        make_ledger(sampler="grid", space=make_space(grid=GRID))


def test_a_grid_of_what_no_study_can_hold_is_refused_by_name(
    make_ledger: MakeLedger, make_space: MakeSpace
) -> None:
    space = make_space(domains={}, grid={"hidden": [(8, 8), [8, 8]]}, points=())
    with pytest.raises(UserError, match=r"^hidden: choice\(\(8, 8\), ...\) is there twice"):
        make_ledger(sampler="grid", space=space)


# After a kill -----------------------------------------------------------------------------------


def test_what_was_cut_off_is_asked_first_and_as_it_was(
    reopen: Reopen, make_ledger: MakeLedger
) -> None:
    ledger = make_ledger(over=reopen(), sampler="tpe")
    asked = [ask(ledger) for _ in range(4)]
    complete(ledger, asked[1])
    ledger.report(2, 3, 0.5)
    again = make_ledger(over=reopen(), sampler="tpe", resume=True)
    assert [ask(again) for _ in range(3)] == [asked[0], asked[2], asked[3]]
    assert ask(again).number == 4


@pytest.mark.parametrize(
    ("reopen", "sampler"),
    [("journal", "random"), ("journal", "tpe"), ("sqlite", "tpe"), ("journal", "qmc")],
    indirect=["reopen"],
)
def test_a_kill_before_the_values_are_chosen_changes_none(
    reopen: Reopen, make_ledger: MakeLedger, sampler: str
) -> None:
    """The study has the trial, RUNNING, without parameters."""
    ledger = make_ledger(over=reopen(), sampler=sampler)
    complete(ledger, ask(ledger))
    study_of(reopen()).ask()
    again = make_ledger(over=reopen(), sampler=sampler, resume=True)
    asked = [ask(again) for _ in range(3)]
    assert [a.number for a in asked] == [1, 2, 3]
    assert all(set(a.values) == set(again.distributions) for a in asked)
    assert len({a.values["lr"] for a in asked}) == 3
    found = study_of(reopen()).trials
    for a in asked:
        assert found[a.number].params == a.values
        complete(again, a)


def test_a_random_trial_without_values_gets_those_it_would_have_had(
    make_ledger: MakeLedger, storage: BaseStorage
) -> None:
    undisturbed = make_ledger(over=optuna.storages.InMemoryStorage())
    expected = [ask(undisturbed) for _ in range(3)]
    ask(make_ledger())
    study_of(storage).ask()
    again = make_ledger(resume=True)
    assert [ask(again) for _ in range(3)] == expected


def test_a_baseline_that_was_cut_off_is_still_the_baseline(
    reopen: Reopen, make_ledger: MakeLedger
) -> None:
    EarlierLedger(reopen(), make_ledger()).study.ask()
    again = ask(make_ledger(over=reopen(), resume=True))
    assert (again.number, again.origin) == (0, "report/row")
    assert {key: again.values[key] for key in BASELINE} == BASELINE


def test_a_kill_just_before_the_end_is_told_repeats_the_end(
    reopen: Reopen, make_ledger: MakeLedger
) -> None:
    ledger = make_ledger(over=reopen())
    asked = ask(ledger)
    ledger.study.note(asked.number, RESULT_ATTR, {"num_params": 1})
    again = make_ledger(over=reopen(), resume=True)
    assert ask(again).number == asked.number
    complete(again, asked, 0.75)
    (trial,) = trials_of(again)
    assert (trial.values, trial.user_attrs[RESULT_ATTR]) == ([0.75], {"num_params": 3})


def test_a_half_written_line_of_the_journal_is_cut_off(
    tmp_path: Path, make_ledger: MakeLedger
) -> None:
    journal = tmp_path / "study.journal"
    ledger = make_ledger(over=open_storage(None, journal))
    complete(ledger, ask(ledger))
    whole = journal.read_bytes()
    journal.write_bytes(whole + whole.splitlines(keepends=True)[-1][:-5])
    again = make_ledger(over=open_storage(None, journal), resume=True)
    assert journal.read_bytes().startswith(whole)
    assert [t.values for t in again.ended()] == [(0.5,)]
    complete(again, ask(again), 0.6)
    last = make_ledger(over=open_storage(None, journal), resume=True)
    assert [t.values for t in last.ended()] == [(0.5,), (0.6,)]


def test_every_cut_of_the_journal_can_be_resumed(tmp_path: Path, make_ledger: MakeLedger) -> None:
    """As if the process had been killed after any byte it wrote."""
    journal = tmp_path / "study.journal"
    ledger = make_ledger(over=open_storage(None, journal), trials=3)
    first = ask(ledger)
    ledger.report(first.number, 3, 0.25)
    complete(ledger, first)
    ledger.fail(ask(ledger).number, "broken")
    whole = journal.read_bytes()
    ends = [i + 1 for i, byte in enumerate(whole) if byte == ord("\n")]
    cuts = sorted({0, *ends, *(end + 9 for end in ends[:-1:4])})
    for cut in cuts:
        copy = tmp_path / f"{cut}.journal"
        copy.write_bytes(whole[:cut])
        resumed = make_ledger(over=open_storage(None, copy), trials=3, resume=True)
        for asked in iter(resumed.ask, None):
            complete(resumed, asked)
        assert len(resumed.ended()) == 3, cut
        trials = trials_of(resumed)
        assert [t.number for t in trials] == [0, 1, 2], cut
        origins = [t.user_attrs.get(POINT_ATTR, {}).get("name") for t in trials]
        assert origins == [t.origin for t in resumed.ended()] == ["report/row", None, None], cut


# Reports and ends -------------------------------------------------------------------------------


def test_the_ends_of_trials_are_in_the_study(reopen: Reopen, make_ledger: MakeLedger) -> None:
    ledger = make_ledger(over=reopen())
    numbers = [ask(ledger).number for _ in range(4)]
    ledger.complete(0, [0.75], {"num_params": 3, "by_fold": {"val_loss": [1.0, 2.0]}})
    ledger.report(1, 3, 0.25)
    ledger.prune(1, {"num_params": 4})
    ledger.fail(2, "x" * 2 * ERROR_LENGTH)
    again = make_ledger(over=reopen(), resume=True)
    trials = trials_of(again)[:3]
    assert [t.number for t in again.ended()] == numbers[:3]
    assert [t.state for t in trials] == [TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL]
    assert trials[0].value == 0.75
    assert trials[0].user_attrs[RESULT_ATTR]["by_fold"] == {"val_loss": [1.0, 2.0]}
    assert (trials[1].value, trials[1].user_attrs[RESULT_ATTR]) == (0.25, {"num_params": 4})
    assert failure_of(trials[2]) == ("crashed", "x" * ERROR_LENGTH)
    assert trials[2].value is None


def test_a_report_of_the_same_epoch_is_passed_over_in_silence(
    make_ledger: MakeLedger, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = make_ledger()
    number = ask(ledger).number
    for value in (0.5, 0.75):
        assert not ledger.report(number, 3, value)
    assert ledger.frozen(number).intermediate_values == {3: 0.5}
    assert not caplog.records


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_not_reported(make_ledger: MakeLedger, value: float) -> None:
    ledger = make_ledger()
    number = ask(ledger).number
    assert not ledger.report(number, 3, value)
    assert ledger.frozen(number).intermediate_values == {}


def test_the_worse_is_stopped_and_the_baseline_never(make_ledger: MakeLedger) -> None:
    ledger = make_ledger(trials=ENOUGH)
    numbers = [ask(ledger).number for _ in range(4)]
    assert not ledger.report(numbers[1], 3, 0.9)
    assert ledger.report(numbers[2], 3, 0.1)
    assert ledger.report(numbers[2], 3, 0.1)
    assert not ledger.report(numbers[0], 3, 0.0)
    assert not ledger.report(numbers[3], 3, 0.95)


def test_points_of_a_grid_may_be_stopped_and_the_baseline_before_them_not(
    make_space: MakeSpace, make_ledger: MakeLedger, storage: BaseStorage
) -> None:
    space = make_space(domains={}, grid=LARGER_GRID)
    ledger = make_ledger(space=space, sampler="grid", trials=None)
    asked = [ask(ledger) for _ in range(4)]
    assert [a.origin for a in asked] == ["report/row", "grid", "grid", "grid"]
    assert not ledger.report(1, 3, 0.9)
    assert ledger.report(2, 3, 0.1)
    assert not ledger.report(0, 3, 0.0)
    again = make_ledger(space=space, sampler="grid", trials=None, resume=True)
    for _ in asked:
        ask(again)
    assert again.report(3, 3, 0.1)
    assert not again.report(0, 3, 0.0)


def test_the_worse_is_the_greater_of_a_loss(make_ledger: MakeLedger) -> None:
    ledger = make_ledger(objective=("val_loss",), trials=ENOUGH)
    numbers = [ask(ledger).number for _ in range(3)]
    assert not ledger.report(numbers[1], 3, 0.1)
    assert ledger.report(numbers[2], 3, 0.9)


def test_a_resumed_sweep_stops_the_same_trials(reopen: Reopen, make_ledger: MakeLedger) -> None:
    ledger = make_ledger(over=reopen(), trials=ENOUGH)
    asked = [ask(ledger) for _ in range(4)]
    assert not ledger.report(asked[1].number, 3, 0.9)
    complete(ledger, asked[1], 0.9)
    assert ledger.report(asked[2].number, 3, 0.1)
    again = make_ledger(over=reopen(), resume=True, trials=ENOUGH)
    assert [ask(again) for _ in range(3)] == [asked[0], asked[2], asked[3]]
    assert again.report(asked[2].number, 3, 0.1)
    assert again.report(asked[3].number, 3, 0.2)


def worse_is_stopped(ledger: Ledger) -> bool:
    """Whether the third trial is stopped at a rung where it is behind the second."""
    asked = [ask(ledger) for _ in range(3)]
    assert not ledger.report(asked[1].number, 3, 0.9)
    return ledger.report(asked[2].number, 3, 0.1)


@pytest.mark.parametrize("scheduler", ["asha", "hyperband"])
@pytest.mark.parametrize(("trials", "stops"), [(3, False), (9, False), (10, True), (None, True)])
def test_fewer_than_nine_sampled_trials_are_not_stopped_early(
    make_ledger: MakeLedger, scheduler: str, trials: int | None, stops: bool
) -> None:
    """The baseline is not sampled."""
    ledger = make_ledger(trials=trials, scheduler=scheduler)
    assert ledger.scheduler == (scheduler if stops else "none")
    assert worse_is_stopped(ledger) is stops


def test_without_a_baseline_all_trials_are_sampled(
    make_ledger: MakeLedger, make_space: MakeSpace
) -> None:
    assert make_ledger(trials=9, space=make_space(points=())).scheduler == "asha"


@pytest.mark.parametrize(
    ("grid", "trials", "stops"),
    [(GRID, None, False), (LARGER_GRID, None, True), (LARGER_GRID, 9, False)],
)
def test_on_a_grid_the_points_of_the_grid_count(
    make_ledger: MakeLedger,
    make_space: MakeSpace,
    grid: dict[str, Any],
    trials: int | None,
    stops: bool,
) -> None:
    ledger = make_ledger(space=make_space(domains={}, grid=grid), sampler="grid", trials=trials)
    assert worse_is_stopped(ledger) is stops


def test_an_extended_sweep_stops_trials_early_by_all_that_was_reported(
    reopen: Reopen, make_ledger: MakeLedger
) -> None:
    few = make_ledger(over=reopen(), trials=4)
    assert not worse_is_stopped(few)
    for number in (1, 2):
        few.complete(number, [0.5], {})
    more = make_ledger(over=reopen(), resume=True, trials=ENOUGH)
    assert more.scheduler == "asha"
    numbers = [ask(more).number for _ in range(3)]
    assert numbers == [0, 3, 4]
    assert more.report(numbers[1], 3, 0.5)
    assert not more.report(numbers[2], 3, 0.95)
    again = make_ledger(over=reopen(), resume=True, trials=4)
    assert again.scheduler == "none"


def test_with_several_objectives_nothing_is_stopped(
    reopen: Reopen, make_ledger: MakeLedger
) -> None:
    objective = ("val_accuracy", "num_params")
    ledger = make_ledger(over=reopen(), objective=objective)
    numbers = [ask(ledger).number for _ in range(3)]
    assert not ledger.prunes
    assert not any(ledger.report(n, 3, -n) for n in numbers)
    ledger.complete(0, [0.9, 100.0], {})
    ledger.complete(1, [0.8, 10.0], {})
    ledger.complete(2, [0.7, 50.0], {})
    again = make_ledger(over=reopen(), objective=objective, resume=True)
    assert sorted(t.number for t in study_of(again.study.storage).best_trials) == [0, 1]


# Whose study it is ------------------------------------------------------------------------------


def test_a_study_that_exists_is_only_resumed(reopen: Reopen, make_ledger: MakeLedger) -> None:
    make_ledger(over=reopen())
    with pytest.raises(UserError, match="study 'first/small' exists already; use --resume"):
        make_ledger(over=reopen())


def test_other_data_or_another_space_cannot_go_on(
    reopen: Reopen, make_space: MakeSpace, make_ledger: MakeLedger
) -> None:
    make_ledger(over=reopen())
    with pytest.raises(UserError, match="sweep first cannot be resumed: its data has changed"):
        make_ledger(over=reopen(), resume=True, digest="4567")
    with pytest.raises(UserError, match="sweep first cannot be resumed: its task has changed"):
        make_ledger(over=reopen(), resume=True, task="89ab")
    narrower = {"lr": tune.loguniform(1e-4, 9e-3)}
    for change in (
        {"domains": {**make_space().domains, **narrower}},
        {"domains": {**make_space().domains, "weight_decay": 0.1}},
        {"points": ()},
        {"points": (Point(name="report/row", config={"lr": 0.1}),)},
    ):
        with pytest.raises(UserError, match="its space has changed since; start a new sweep"):
            make_ledger(over=reopen(), resume=True, space=make_space(**change))


def test_a_refused_resumption_leaves_the_study_as_it_was(
    tmp_path: Path, make_ledger: MakeLedger
) -> None:
    journal = tmp_path / "study.journal"
    make_ledger(over=open_storage(None, journal))
    before = journal.read_bytes()
    with pytest.raises(UserError):
        make_ledger(over=open_storage(None, journal), resume=True, digest="4567")
    assert journal.read_bytes() == before


# Storages ---------------------------------------------------------------------------------------


@pytest.fixture
def refused_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("bogus://host/study", "bogus"),
        ("study.db", "Could not parse"),
        ("", "Could not parse"),
        ("sqlite:///no/such/folder/study.db", "unable to open database file"),
        ("postgresql//user:s3cr3t@host/study", "Could not parse"),
        ("postgresql+nodriver://user:s3cr3t@host/study", "nodriver"),
    ],
)
def test_a_study_that_cannot_be_opened_is_said_in_one_line(
    url: str, said: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=f"--study .*{re.escape(said)}.*; give a URL") as caught:
        open_storage(url, tmp_path / "unused")
    assert "\n" not in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


def test_a_database_that_does_not_answer_is_said_in_one_line(
    refused_port: int, tmp_path: Path
) -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(
        UserError, match=r"--study postgresql://u@.*[Cc]onnection .*refused"
    ) as caught:
        open_storage(f"postgresql://u:s3cr3t@127.0.0.1:{refused_port}/x", tmp_path / "unused")
    assert "\n" not in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


def test_a_missing_driver_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(UserError, match=r"pip install 'foldsweep\[postgres\]'"):
        open_storage("postgresql://user@127.0.0.1/study", tmp_path / "unused")


def test_a_journal_that_cannot_be_written_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"study file .* cannot be written: "):
        open_storage(None, tmp_path / "file" / "study.journal")
    with pytest.raises(UserError, match=r"study file .* cannot be written: Is a directory"):
        open_storage(None, tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        *((POINT_ATTR, value, POINT_ATTR) for value in ([], "x", {"name": "grid"}, {"name": 1})),
        *((RESULT_ATTR, value, RESULT_ATTR) for value in ([], {"by_fold": 1}, {"num_params": ""})),
        *((RESULT_ATTR, {STOPPED_AT: value}, STOPPED_AT) for value in ("three", [3])),
        *((STOPPED_AT, value, STOPPED_AT) for value in ("three", [3])),
        *((FAILURE_ATTR, value, FAILURE_ATTR) for value in (1, [], ["crashed", 1])),
    ],
)
def test_a_damaged_trial_is_named(
    make_ledger: MakeLedger, reopen: Callable[[], BaseStorage], key: str, value: object, named: str
) -> None:
    ledger = make_ledger(over=reopen())
    number = ask(ledger).number
    ledger.study.note(number, key, value)
    with pytest.raises(UserError, match=f"'first/small' is damaged .trial {number} .*{named}"):
        make_ledger(over=reopen(), resume=True)


def test_a_damaged_database_is_said_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    path.write_text("no database" * 100)
    with pytest.raises(UserError, match="file is not a database") as caught:
        open_storage(f"sqlite:///{path}", tmp_path / "unused")
    assert "\n" not in str(caught.value)


@pytest.fixture
def postgres(refused_port: int) -> Iterator[str]:
    """FOLDSWEEP_POSTGRES names an empty database, else one is started where that is possible."""
    pytest.importorskip("psycopg")
    given = os.environ.get("FOLDSWEEP_POSTGRES")
    if given:
        yield given
        return
    if shutil.which("initdb") is None or shutil.which("pg_ctl") is None:
        pytest.skip("needs PostgreSQL: initdb and pg_ctl, or a URL in FOLDSWEEP_POSTGRES")
    user = "postgres" if os.geteuid() == 0 else None  # it does not run as root
    run = partial(subprocess.run, check=True, stdout=subprocess.DEVNULL, timeout=50, user=user)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        if user is not None:
            try:
                shutil.chown(folder, user)
            except LookupError:
                pytest.skip("PostgreSQL does not run as root: give a URL in FOLDSWEEP_POSTGRES")
        data, log = f"{folder}/data", f"{folder}/log"
        options = f"-p {refused_port} -c listen_addresses=127.0.0.1 -k {folder} -c fsync=off"
        run(["initdb", "-D", data, "-A", "trust", "-N", "-U", "foldsweep"], cwd=folder)
        run(["pg_ctl", "-D", data, "-w", "-l", log, "-o", options, "start"], cwd=folder)
        try:
            yield f"postgresql://foldsweep@127.0.0.1:{refused_port}/postgres"
        finally:
            run(["pg_ctl", "-D", data, "-m", "immediate", "stop"], cwd=folder)


def test_a_sweep_goes_on_in_postgres(
    postgres: str, tmp_path: Path, make_ledger: MakeLedger
) -> None:
    storages = []
    for resume in (False, True):
        storages.append(open_storage(postgres, tmp_path / "unused"))
        ledger = make_ledger(over=storages[-1], resume=resume)
        numbers = [ask(ledger).number, ask(ledger).number]
        complete(ledger, ask(ledger))
        assert numbers == [0, 1]
    assert [t.number for t in ledger.ended()] == [2, 3]
    for storage in storages:
        assert isinstance(storage, RDBStorage)
        storage.engine.dispose()


def test_only_the_end_of_a_trial_waits_for_the_disk(
    tmp_path: Path, make_ledger: MakeLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill loses nothing that was written; a power cut nothing that has ended."""
    journal = tmp_path / "study.journal"
    ledger = make_ledger(over=open_storage(None, journal))
    first = ask(ledger)
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_size))
    second = ask(ledger)
    ledger.report(first.number, 1, 0.5)
    before = len(synced)
    complete(ledger, first)
    assert len(synced) == before + 1 == 1
    assert synced[-1] == journal.stat().st_size  # and with it all that was written before
    assert second.number != first.number


def test_a_trial_is_a_few_lines_of_the_journal(tmp_path: Path, make_ledger: MakeLedger) -> None:
    """Not one for each value, as it was."""
    journal = tmp_path / "study.journal"
    ledger = make_ledger(over=open_storage(None, journal), sampler="tpe", trials=30)
    complete(ledger, ask(ledger))
    before = journal.read_bytes().count(b"\n")
    for _ in range(20):
        asked = ask(ledger)
        ledger.report(asked.number, 9, 0.5, ended=True)  # which no rule reads
        complete(ledger, asked)
    assert journal.read_bytes().count(b"\n") - before == 20 * 3


# Decisions on stopping early ---------------------------------------------------------------------


def reported(ledger: Ledger, value: float) -> bool:
    """Whether a new trial that reports a value at the rung of 3 epochs is to stop."""
    return ledger.report(ask(ledger).number, 3, value)


def many(make_ledger: MakeLedger, **values: Any) -> Ledger:
    return make_ledger(trials=30, scheduler="asha", space=values.pop("space"), **values)


@pytest.fixture
def no_points(make_space: MakeSpace) -> SearchSpace:
    return make_space(points=())


def test_a_kill_between_report_and_end_changes_no_decision(
    reopen: Reopen, make_ledger: MakeLedger, no_points: SearchSpace
) -> None:
    """By what is there after the kill, trial 2 would go on: three are below it now."""
    ledger = many(make_ledger, over=reopen(), space=no_points)
    assert [reported(ledger, value) for value in (0.5, 0.6, 0.55)] == [False, False, True]
    for value in (0.1, 0.2, 0.3):
        reported(ledger, value)
    again = many(make_ledger, over=reopen(), space=no_points, resume=True)
    asked = [ask(again) for _ in range(3)]
    assert [a.number for a in asked] == [0, 1, 2]
    assert [a.reported_at for a in asked] == [3, 3, 0]
    decided = [again.report(i, 3, value) for i, value in enumerate((0.5, 0.6, 0.55))]
    assert decided == [False, False, True]
    again.prune(2, {})
    assert again.frozen(2).state == TrialState.PRUNED


def test_a_decision_and_a_failure_of_an_earlier_version_are_known(
    reopen: Reopen, make_ledger: MakeLedger, no_points: SearchSpace
) -> None:
    """It kept both as attributes of their own, and the result of a stopped trial was later."""
    ledger = many(make_ledger, over=reopen(), space=no_points)
    stopped, failed = ask(ledger).number, ask(ledger).number
    ledger.study.note(stopped, STOPPED_AT, 3)
    ledger.study.report(stopped, 3, 0.9)
    ledger.study.note(failed, FAILURE_ATTR, "diverged")
    ledger.study.note(failed, "error", "a loss became infinite")
    ledger.study.end(failed, TrialState.FAIL, None)

    again = many(make_ledger, over=reopen(), space=no_points, resume=True)
    assert again.end_of(failed).failure == "diverged"
    assert failure_of(again.frozen(failed)) == ("diverged", "a loss became infinite")
    assert ask(again).reported_at == 0
    assert again.report(stopped, 3, 0.9)
    again.prune(stopped, {"num_params": 4})
    assert again.frozen(stopped).user_attrs[RESULT_ATTR] == {"num_params": 4}


def test_a_trial_that_went_on_is_not_stopped_by_what_came_later(
    reopen: Reopen, make_ledger: MakeLedger, no_points: SearchSpace
) -> None:
    ledger = many(make_ledger, over=reopen(), space=no_points)
    assert not reported(ledger, 0.5)
    for value in (0.6, 0.7, 0.8):
        reported(ledger, value)
    again = many(make_ledger, over=reopen(), space=no_points, resume=True)
    assert not again.report(ask(again).number, 3, 0.5)


def test_a_kill_between_decision_and_report_loses_neither(
    reopen: Reopen,
    make_ledger: MakeLedger,
    no_points: SearchSpace,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ledger = many(make_ledger, over=reopen(), space=no_points)
    reported(ledger, 0.5)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(StoredStudy, "report", killed)
        with pytest.raises(KeyboardInterrupt):
            reported(ledger, 0.4)
    again = many(make_ledger, over=reopen(), space=no_points, resume=True)
    ask(again)
    second = ask(again)
    assert again.frozen(second.number).intermediate_values == {}
    assert again.report(second.number, 3, 0.4)
    assert again.frozen(second.number).intermediate_values == {3: 0.4}


def test_the_last_epoch_decides_nothing(make_ledger: MakeLedger, no_points: SearchSpace) -> None:
    ledger = many(make_ledger, space=no_points)
    reported(ledger, 0.5)
    assert not ledger.report(ask(ledger).number, 3, 0.1, ended=True)


def test_a_trial_given_back_is_the_next(make_ledger: MakeLedger) -> None:
    ledger = make_ledger(trials=3)
    first, second = ask(ledger), ask(ledger)
    ledger.give_back(first.number)
    assert ledger.trials_left == 3
    assert ask(ledger) == first
    assert ask(ledger).number == 2
    ledger.give_back(second.number)
    assert ask(ledger) == second
    assert ledger.ask() is None


def test_sweeps_may_make_the_tables_of_a_fresh_database_at_once(tmp_path: Path) -> None:
    """SQLite tells the second that a table exists already."""
    ready = threading.Barrier(4)

    def opened(_: int) -> BaseStorage:
        ready.wait()
        return open_storage(f"sqlite:///{tmp_path}/study.db", tmp_path / "unused")

    with ThreadPoolExecutor(4) as pool:
        storages = list(pool.map(opened, range(4)))
    optuna.create_study(storage=storages[0], study_name="first")
    assert optuna.get_all_study_names(storages[3]) == ["first"]
    for storage in storages:
        assert isinstance(storage, RDBStorage)
        storage.engine.dispose()
