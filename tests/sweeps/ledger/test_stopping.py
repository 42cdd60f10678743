"""Early stopping: the trials that are stopped, and that each decision is made once."""

from typing import Any

import pytest
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from search_spaces.space import SearchSpace
from sweeps.ledger import Ledger
from sweeps.outcomes import FAILURE_ATTR, RESULT_ATTR, STOPPED_AT, failure_of
from sweeps.study import StoredStudy
from tests.sweeps.ledger.asking import (
    ENOUGH,
    GRID,
    LARGER_GRID,
    MakeLedger,
    MakeSpace,
    Reopen,
    ask,
    complete,
    study_of,
)


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
    """Whether the third trial is stopped at a rung where it is worse than the second."""
    asked = [ask(ledger) for _ in range(3)]
    assert not ledger.report(asked[1].number, 3, 0.9)
    return ledger.report(asked[2].number, 3, 0.1)


@pytest.mark.parametrize("scheduler", ["asha-stop", "hyperband"])
@pytest.mark.parametrize(("trials", "stops"), [(3, False), (9, False), (10, True), (None, True)])
def test_fewer_than_nine_sampled_trials_are_not_stopped_early(
    make_ledger: MakeLedger, scheduler: str, trials: int | None, stops: bool
) -> None:
    """The baseline does not count as sampled."""
    ledger = make_ledger(trials=trials, scheduler=scheduler)
    assert ledger.scheduler == (scheduler if stops else "none")
    assert worse_is_stopped(ledger) is stops


def test_without_a_baseline_all_trials_are_sampled(
    make_ledger: MakeLedger, make_space: MakeSpace
) -> None:
    assert make_ledger(trials=9, space=make_space(points=())).scheduler == "asha-stop"


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
    assert more.scheduler == "asha-stop"
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


def reported(ledger: Ledger, value: float) -> bool:
    """Whether a new trial is stopped after reporting a value at the rung of 3 epochs."""
    return ledger.report(ask(ledger).number, 3, value)


def many(make_ledger: MakeLedger, **values: Any) -> Ledger:
    return make_ledger(trials=30, scheduler="asha-stop", space=values.pop("space"), **values)


def test_a_kill_between_report_and_end_changes_no_decision(
    reopen: Reopen, make_ledger: MakeLedger, no_points: SearchSpace
) -> None:
    """Judged by the reports after the kill, trial 2 would continue: three are below it then."""
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
    """Those versions had an attribute for each, and stored a stopped trial's result later."""
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
