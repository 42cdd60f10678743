"""Initial points."""

import pytest
from optuna.trial import TrialState
from ray import tune

from search_spaces.space import Point
from tests.sweeps.earlier import EarlierLedger
from tests.sweeps.ledger.asking import (
    BASELINE,
    NEAREST,
    MakeLedger,
    MakeSpace,
    Reopen,
    ask,
    complete,
    trials_of,
)


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
    """A look through all trials would make each trial slower than the one before."""
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
    """Earlier versions did so before the first trial; a kill may have interrupted them."""
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
