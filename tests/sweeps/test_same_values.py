"""Trials sampled on a view in memory have the same values as trials sampled on the study.

Earlier versions sampled on the study, step by step; `EarlierLedger` still does.
"""

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, Protocol

import pytest
from optuna.storages import BaseStorage, InMemoryStorage
from ray import tune

from search_spaces.space import Point, SearchSpace
from sweeps.ledger import Ledger
from sweeps.study import StoredStudy
from tests.sweeps.earlier import EarlierLedger
from trainables.models.pairs.variants import MLP

SAMPLERS = {"tpe": 26, "gp": 15, "cmaes": 30, "qmc": 12, "random": 8, "grid": 11, "nsga2": 66}
"""Trials per sampler, enough that it uses earlier results: NSGA-II at its third generation."""
BOTH = ("val_accuracy", "num_params")
AT_A_TIME = 3
Values = list[tuple[int, dict[str, Any]]]
Reopen = Callable[[], BaseStorage]


class Driven(Protocol):
    """Common interface of both ledgers."""

    def ask(self) -> tuple[int, dict[str, Any]] | None: ...
    def report(self, number: int, epoch: int, value: float) -> object: ...
    def complete(self, number: int, values: list[float]) -> None: ...
    def prune(self, number: int) -> None: ...
    def fail(self, number: int) -> None: ...


class Now:
    """The current ledger behind the interface of the earlier one."""

    def __init__(self, ledger: Ledger):
        self.ledger = ledger

    def ask(self) -> tuple[int, dict[str, Any]] | None:
        asked = self.ledger.ask()
        assert asked is not None
        return asked.number, dict(asked.values)

    def report(self, number: int, epoch: int, value: float) -> object:
        return self.ledger.report(number, epoch, value)

    def complete(self, number: int, values: list[float]) -> None:
        self.ledger.complete(number, values, {})

    def prune(self, number: int) -> None:
        self.ledger.prune(number, {})

    def fail(self, number: int) -> None:
        self.ledger.fail(number, "broken")


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    return SearchSpace(
        name="small",
        variant=MLP,
        domains={
            "lr": tune.loguniform(1e-4, 1e-2),
            "dropout": tune.uniform(0, 0.5),
            "hidden": tune.qrandint(8, 64, 8),
            "lr_schedule": tune.choice(["constant", "cosine"]),
        },
        points=(Point(name="row", config={"lr": 0.5, "hidden": 13}),),
        grid={
            "lr": (1e-3, 1e-2),
            "dropout": (0.0, 0.5),
            "hidden": (8, 16),
            "lr_schedule": ("constant", "cosine"),
        },
    )


@pytest.fixture
def make(space: SearchSpace, make_ledger: Callable[..., Ledger]) -> Callable[..., Ledger]:
    def of(name: str, over: BaseStorage | None = None, *, resume: bool = False) -> Ledger:
        return make_ledger(
            over=InMemoryStorage() if over is None else over,
            space=space,
            sampler=name,
            trials=SAMPLERS[name],
            resume=resume,
            scheduler="none",
            order="arrival",
            objective=BOTH if name == "nsga2" else BOTH[:1],
        )

    return of


def drive(name: str, *lives: tuple[int, Callable[[], Driven]]) -> Values:
    """Return the values of trials that run some at a time and end in all ways and in any order.

    Each pair in `lives` is a number of trials and a function that opens a ledger. Once that many
    trials have been asked for, the process ends, and the next ledger must return the running
    trials again.
    """
    rng, seen, running = Random(7), Values(), dict[int, dict[str, Any]]()
    for stop, born in lives:
        ledger = born()
        for number in list(running):
            assert ledger.ask() == (number, running[number])
        while len(seen) < stop:
            asked = ledger.ask()
            if asked is None:
                break  # a kill
            seen.append(asked)
            running[asked[0]] = asked[1]
            while len(running) == AT_A_TIME:
                number = rng.choice(sorted(running))
                end(name, ledger, rng, number, running.pop(number))
    return seen


def end(name: str, ledger: Driven, rng: Random, number: int, values: dict[str, Any]) -> None:
    score = 1 - 50 * abs(values["lr"] - 5e-3) - values.get("dropout", 0)
    way = rng.random()
    if way < 0.1:
        return ledger.fail(number)
    if name == "nsga2":
        return ledger.complete(number, [score, float(values["hidden"])])
    ledger.report(number, 3, score)
    if way < 0.4 and number:
        return ledger.prune(number)
    ledger.report(number, 9, score + 0.1)
    ledger.complete(number, [score + 0.1])


@pytest.fixture(params=SAMPLERS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def undisturbed(name: str, make: Callable[..., Ledger]) -> Values:
    """Values chosen by the earlier version."""
    trials = SAMPLERS[name]
    return drive(name, (trials, lambda: EarlierLedger(InMemoryStorage(), make(name))))


def test_values_are_those_of_the_earlier_version_also_after_kills(
    name: str, make: Callable[..., Ledger], reopen: Reopen, undisturbed: Values
) -> None:
    trials = SAMPLERS[name]
    lives = [
        (stop, lambda first=not i: Now(make(name, reopen(), resume=not first)))
        for i, stop in enumerate((trials // 2, trials - 2, trials))
    ]
    assert drive(name, *lives) == undisturbed


@pytest.mark.parametrize("where", ["new", "create"])
def test_a_kill_in_the_middle_of_asking_changes_no_value(
    where: str,
    name: str,
    make: Callable[..., Ledger],
    reopen: Reopen,
    undisturbed: Values,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The kill occurs before or after the trial is in the study."""
    trials = SAMPLERS[name]

    class Killed(Now):
        def ask(self) -> tuple[int, dict[str, Any]] | None:
            number = self.ledger.study.length()
            if number != trials - 3:
                return super().ask()
            create = StoredStudy.create

            def killed(study: StoredStudy, *given: Any) -> None:
                if where == "create":
                    create(study, *given)
                raise KeyboardInterrupt

            with monkeypatch.context() as patch:
                patch.setattr(StoredStudy, "create", killed)
                with pytest.raises(KeyboardInterrupt):
                    self.ledger.ask()
            return None

    found = drive(
        name,
        (trials, lambda: Killed(make(name, reopen()))),
        (trials, lambda: Now(make(name, reopen(), resume=True))),
    )
    assert found == undisturbed


@pytest.mark.slow
@pytest.mark.parametrize("draws", [None, 0, 2])
def test_a_study_that_the_earlier_version_began_goes_on_as_it_would_have(
    draws: int | None, name: str, make: Callable[..., Ledger], tmp_path: Path, reopen: Reopen
) -> None:
    """Its study has the initial points, and a trial that a kill has left with missing values."""
    trials = SAMPLERS[name]

    class Killed:
        """The earlier ledger, killed once during `ask`."""

        def __init__(self, ledger: EarlierLedger):
            self.ledger = ledger

        def __getattr__(self, key: str) -> Any:
            return getattr(self.ledger, key)

        def ask(self) -> tuple[int, dict[str, Any]] | None:
            at = draws is not None and len(self.ledger.live) == trials - 4
            return self.ledger.ask(draws=draws if at else None)

    def went_on(storage: Callable[[], BaseStorage], later: Callable[[], Driven]) -> Values:
        first = lambda: Killed(EarlierLedger(storage(), make(name)))
        return drive(name, (trials - 3, first), (trials, later))

    kept = InMemoryStorage()
    expected = went_on(lambda: kept, lambda: EarlierLedger(kept, make(name)))
    found = went_on(reopen, lambda: Now(make(name, reopen(), resume=True)))
    assert found == expected
    assert len(found) == trials
