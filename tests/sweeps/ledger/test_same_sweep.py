"""A sweep with `--order trial` is the same on any number of processes and through any kills.

Processes are simulated, with a random time for each job. Ledger, sampler and study are real.
"""

import heapq
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState

from search_spaces.space import Point
from sweeps import history
from sweeps.ledger import Asked, Ledger
from sweeps.settings import Sampler
from sweeps.study import JOURNAL_FILE, open_storage
from tests.sweeps.ledger.asking import MakeLedger, MakeSpace, Reopen, study_of

EPOCHS = 27
TRIALS = 34
"""Number of trials; enough for a sampler that needs ten results to model two rungs in turn."""
FEW = 22
"""Number of trials; enough to model one rung, for samplers that take half a second per trial."""
Outcome = list[tuple[Any, ...]]


def score_of(asked: Asked, epoch: int) -> float | None:
    """Score of a trial after an epoch; None if it diverges."""
    values = asked.values
    if values["dropout"] > 0.57 and epoch > 3:
        return None
    height = -((math.log10(values["lr"]) + 3) ** 2) - values["dropout"] / 3
    return height + 0.01 * values["hidden"] / epoch - 1 / epoch


def swept(
    open_ledger: Callable[[bool], Ledger],
    workers: Callable[[], int],
    seed: int,
    *,
    kills: float = 0.0,
) -> Ledger:
    """Run a sweep on simulated processes; a kill ends all of them."""
    random, resumed = Random(seed), False
    while True:
        ledger = open_ledger(resumed)
        resumed = True
        if is_over(ledger, workers(), random, kills):
            return ledger


def is_over(ledger: Ledger, workers: int, random: Random, kills: float) -> bool:
    """Whether the sweep ended before a kill."""
    jobs: list[tuple[float, int, Asked, int]] = []
    now = 0.0

    def go_on(asked: Asked, epoch: int) -> None:
        due = now + random.lognormvariate(0, 1)
        heapq.heappush(jobs, (due, asked.number, asked, epoch))

    while True:
        while len(jobs) < workers and (asked := ledger.ask()) is not None:
            go_on(asked, 0 if random.random() < 0.5 else asked.reported_at or 0)
        if not jobs:
            assert ledger.trials_left == 0
            return True
        now, number, asked, epoch = heapq.heappop(jobs)
        if random.random() < kills:
            return False
        if random.random() < kills:
            ledger.give_back(number)
            continue
        reports = [rung.epochs for rung in ledger.rungs] + [EPOCHS]
        epoch = next(e for e in reports if e > epoch)
        value = score_of(asked, epoch)
        if value is None:
            ledger.fail(number, "a loss became infinite", "diverged")
        elif epoch == EPOCHS:
            ledger.complete(number, [value], {})
        elif not ledger.report(number, epoch, value):
            go_on(asked, epoch)


def outcome(ledger: Ledger) -> Outcome:
    """Values that must not depend on processes and kills."""
    return [
        (t.number, t.state, t.params, t.values, t.intermediate_values)
        for t in study_of(ledger.study.storage).get_trials(deepcopy=False)
    ]


@pytest.mark.parametrize("scheduler", ["asha", "none"])
@pytest.mark.parametrize(
    ("sampler", "reopen"),
    [
        ("tpe", "sqlite"),
        *((s, "journal") for s in ("tpe", "random", "qmc", "cmaes")),
        pytest.param("gp", "journal", marks=pytest.mark.slow),
    ],
    indirect=["reopen"],
)
def test_a_sweep_is_the_same_at_any_concurrency_and_through_kills(
    make_ledger: MakeLedger,
    reopen: Reopen,
    monkeypatch: pytest.MonkeyPatch,
    sampler: Sampler,
    scheduler: str,
) -> None:
    monkeypatch.setattr(history, "PACK", 5)
    trials = FEW if sampler == "gp" else TRIALS
    settings = {"sampler": sampler, "scheduler": scheduler, "epochs": EPOCHS, "trials": trials}
    settings |= {"space": make_ledger().space}

    def alone(workers: int) -> Ledger:
        storage = InMemoryStorage()
        return swept(
            lambda resume: make_ledger(over=storage, resume=resume, **settings),
            lambda: workers,
            seed=workers,
        )

    ledger = alone(1)
    expected = outcome(ledger)
    states = Counter(state for _, state, *_ in expected)
    assert states[TrialState.COMPLETE] >= 3
    assert (states[TrialState.RUNNING] > 6) == (scheduler == "asha")
    for workers in (2, 4):
        assert outcome(alone(workers)) == expected
    random = Random(7)
    killed = swept(
        lambda resume: make_ledger(over=reopen(), resume=resume, **settings),
        lambda: random.choice([1, 2, 4]),
        seed=8,
        kills=0.08,
    )
    assert outcome(killed) == expected


@pytest.mark.parametrize(
    ("sampler", "trials", "reopen"),
    [
        ("tpe", 20, "journal"),
        ("tpe", 20, "sqlite"),
        pytest.param("gp", 6, "journal", marks=pytest.mark.slow),
    ],
    indirect=["reopen"],
)
def test_a_warm_started_sweep_is_the_same_too(
    make_ledger: MakeLedger,
    make_space: MakeSpace,
    reopen: Reopen,
    tmp_path: Path,
    sampler: Sampler,
    trials: int,
) -> None:
    """Also if the earlier sweep has since been continued or deleted."""
    folder = tmp_path / "first" / "small"
    folder.mkdir(parents=True)
    path = folder / JOURNAL_FILE
    inside = Point(name="inside", config={"lr": 3e-4, "dropout": 0.2, "hidden": 16})
    made: dict[str, Any] = {"epochs": EPOCHS, "scheduler": "asha", "storage": str(tmp_path)}
    made["space"] = make_space(points=(inside,))
    swept(
        lambda _: make_ledger(over=open_storage(None, path), sampler="random", trials=20, **made),
        lambda: 2,
        seed=5,
    )
    made |= {"sampler": sampler, "trials": trials}

    def warm(workers: int) -> Ledger:
        storage = InMemoryStorage()
        return swept(
            lambda resume: make_ledger(
                over=storage, resume=resume, warm_start=("first",), digest="other", **made
            ),
            lambda: workers,
            seed=workers,
        )

    ledger = warm(1)
    (source,) = ledger.sources
    assert source.point == 0
    expected = outcome(ledger)
    cold = InMemoryStorage()
    alone = swept(lambda _: make_ledger(over=cold, **made), lambda: 1, seed=1)
    assert [t[2] for t in outcome(alone)][1:] != [t[2] for t in expected][1:]
    assert outcome(warm(4)) == expected
    random, num_opened = Random(7), 0

    def reopened(resume: bool) -> Ledger:
        nonlocal num_opened
        num_opened += 1
        if num_opened == 2:
            path.unlink()
        storage = reopen()
        return make_ledger(
            over=storage, resume=resume, warm_start=("first",), digest="other", **made
        )

    killed = swept(reopened, lambda: random.choice([1, 2, 4]), seed=8, kills=0.08)
    assert num_opened > 2
    assert outcome(killed) == expected


@pytest.mark.parametrize("scheduler", ["asha", "none"])
@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_a_sweep_that_stops_paying_stops_after_the_same_trial(
    make_ledger: MakeLedger, sampler: Sampler, scheduler: str
) -> None:
    settings = {"sampler": sampler, "scheduler": scheduler, "epochs": EPOCHS, "trials": 80}
    random = Random(7)

    def stopped(workers: Callable[[], int], kills: float = 0.0) -> Ledger:
        storage = InMemoryStorage()
        ledger = swept(
            lambda resume: make_ledger(over=storage, resume=resume, patience=9, **settings),
            workers,
            seed=3,
            kills=kills,
        )
        assert ledger.has_stopped_paying
        return ledger

    expected = outcome(stopped(lambda: 1))
    assert 10 < len(expected) < 80
    assert outcome(stopped(lambda: 2)) == expected
    assert outcome(stopped(lambda: 4)) == expected
    killed = stopped(lambda: random.choice([1, 2, 4]), kills=0.08)
    assert outcome(killed) == expected
    more = make_ledger(over=killed.study.storage, resume=True, patience=40, **settings)
    assert more.ask() is not None


@pytest.mark.parametrize(
    ("sampler", "trials"),
    [("tpe", TRIALS), ("cmaes", TRIALS), pytest.param("gp", FEW, marks=pytest.mark.slow)],
)
def test_samplers_look_at_results(make_ledger: MakeLedger, sampler: Sampler, trials: int) -> None:
    """If samplers ignored results, the equality of sweeps would prove little."""

    def params(**settings: Any) -> list[dict[str, Any]]:
        storage = InMemoryStorage()
        settings |= {"sampler": sampler, "scheduler": "asha", "epochs": EPOCHS, "trials": trials}
        ledger = swept(lambda _: make_ledger(over=storage, **settings), lambda: 2, seed=1)
        return [params for _, _, params, *_ in outcome(ledger)]

    seeing, blind = params(), params(lag=(trials,))
    assert seeing[:11] == blind[:11]
    assert all(mine != theirs for mine, theirs in zip(seeing[20:], blind[20:], strict=True))
