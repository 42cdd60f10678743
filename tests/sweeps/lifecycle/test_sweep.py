from collections.abc import Callable

import pytest
import sqlalchemy
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import TrialState

from sweeps.lifecycle import LEAST_ENDED_TO_GIVE_UP, trials
from tests.sweeps.lifecycle.recorder import MakeLifecycle, result, run


@pytest.mark.parametrize(
    ("objective", "scores", "best"),
    [
        ("val_accuracy", [0.5, 0.7, 0.6, 0.7], [0, 1, 1, 1]),
        ("val_loss", [0.5, 0.7, 0.4, 0.4], [0, 0, 2, 2]),
    ],
)
def test_the_best_is_followed(
    make_lifecycle: MakeLifecycle, objective: str, scores: list[float], best: list[int]
) -> None:
    life = make_lifecycle(objective=(objective,))
    found = []
    for score in scores:
        run(life, "a", **({"loss": score} if objective == "val_loss" else {"accuracy": score}))
        assert life.best is not None
        found.append(life.best.number)
    assert found == best
    again = make_lifecycle(objective=(objective,), resume=True)
    assert again.best == life.best


def test_of_equals_the_first_asked_is_the_best_whoever_ends_first(
    make_lifecycle: MakeLifecycle,
) -> None:
    life = make_lifecycle()
    life.start("first")
    life.start("second")
    life.end("second", result(0.7))
    life.end("first", result(0.7))
    assert life.best is not None
    assert life.best.number == 0
    assert make_lifecycle(resume=True).best == life.best


def test_several_objectives_are_told_together(make_lifecycle: MakeLifecycle) -> None:
    life = make_lifecycle(objective=("val_accuracy", "num_params"))
    run(life, "a", accuracy=0.5, params=10)
    life.start("b")
    assert not life.result("b", result(0.0, epoch=3))
    life.end("b", result(0.75, since=3, params=1000))
    assert [t.values for t in life.ledger.ended()] == [(0.5, 10.0), (0.75, 1000.0)]
    assert life.best is not None
    assert life.best.number == 1


def test_most_trials_failing_is_hopeless(make_lifecycle: MakeLifecycle) -> None:
    life = make_lifecycle(trials=20)
    seen = []
    for _ in range(LEAST_ENDED_TO_GIVE_UP):
        life.start("a")
        life.fail("a")
        seen.append(life.hopeless)
    assert seen == [False] * (LEAST_ENDED_TO_GIVE_UP - 1) + [True]


def test_a_resumed_sweep_is_given_another_chance(make_lifecycle: MakeLifecycle) -> None:
    life = make_lifecycle(trials=20)
    for _ in range(LEAST_ENDED_TO_GIVE_UP):
        life.start("a")
        life.fail("a")
    again = make_lifecycle(trials=20, resume=True)
    assert (again.ended[TrialState.FAIL], again.hopeless) == (LEAST_ENDED_TO_GIVE_UP, False)
    for _ in range(LEAST_ENDED_TO_GIVE_UP):
        again.start("a")
        again.fail("a")
    assert again.hopeless


def test_half_of_the_trials_failing_is_not(make_lifecycle: MakeLifecycle) -> None:
    life = make_lifecycle(trials=20)
    for _ in range(6):
        run(life, "a")
        life.start("b")
        life.fail("b")
        assert not life.hopeless


def test_time_is_up_after_the_budget(
    make_lifecycle: MakeLifecycle, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(trials.time, "monotonic", lambda: now)
    life, unlimited = make_lifecycle(time_budget=10.0), make_lifecycle(resume=True)
    now = 109.9
    assert not life.out_of_time
    now = 110.0
    assert life.out_of_time
    now = 1e9
    assert not unlimited.out_of_time


@pytest.mark.parametrize("reopen", ["sqlite"], indirect=True)
def test_a_database_is_asked_for_nothing_while_trials_run(
    make_lifecycle: MakeLifecycle, reopen: Callable[[], BaseStorage]
) -> None:
    """Each step of a trial is one transaction: its start, its rung, its result and its end."""
    storage = reopen()
    assert isinstance(storage, RDBStorage)
    life = make_lifecycle(over=storage)
    commits: list[object] = []
    sqlalchemy.event.listen(storage.engine, "commit", commits.append)
    for accuracy in (0.5, 0.7, 0.6):
        commits.clear()
        run(life, "a", accuracy=accuracy)
        assert len(commits) == 4
    assert life.best is not None
    assert (life.best.number, life.best.values["lr"]) == (1, life.ledger.chosen(1)["lr"])
