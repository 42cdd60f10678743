"""History of a reopened study; in a database it is read from copies of many trials at a time."""

from collections.abc import Callable
from typing import Any

import pytest
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import FrozenTrial

from sweeps import history as history_module
from sweeps import view as view_module
from sweeps.history import PACK_ATTR
from sweeps.ledger import Ledger
from sweeps.study import StoredStudy
from tests.refusals import refused

MakeLedger = Callable[..., Ledger]
Reopen = Callable[[], BaseStorage]
SAMPLERS = ("random", "tpe", "cmaes", "qmc")


@pytest.fixture(autouse=True)
def small_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_module, "PACK", 4)


def sweep(ledger: Ledger, trials: int) -> None:
    """Ask for trials and end them in all ways; those with `number % 7 == 3` stay in training."""
    for _ in range(trials):
        asked = ledger.ask()
        assert asked is not None
        number = asked.number
        score = -abs(asked.values["lr"] - 5e-3)
        ledger.report(number, 3, score)
        if number % 7 == 2:
            ledger.fail(number, "broken", "refused" if number % 2 else "crashed")
        elif number % 7 == 5:
            ledger.prune(number, {"by_fold": {"val_accuracy": [score, score]}})
        elif number % 7 != 3:
            kept = {"by_fold": {"val_accuracy": [score, score + 0.1]}, "num_params": number}
            ledger.complete(number, [score], {**kept, "train_time_s": 1.5})


def known(ledger: Ledger) -> dict[str, Any]:
    """Everything that decisions depend on."""
    history, visible = ledger._history, ledger._turns.visible.view
    return {
        "ended": ledger.ended(),
        "view": [_seen(t) for t in visible.get_all_trials(0)],
        "attrs": visible.attrs,
        "length": history.view.length,
        "reports": history.reports.at(3),
        "complete": sorted(history.reports.of_complete(3)),
        "num_complete": history.reports.num_complete,
        "budget": ledger.budget,
        "left": ledger.trials_left,
    }


def _seen(trial: FrozenTrial) -> tuple[Any, ...]:
    what = trial.number, trial.state, trial.values, trial.params, trial.distributions
    return (*what, trial.system_attrs, trial.intermediate_values, trial.user_attrs.get("point"))


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("bounded", [False, True])
def test_a_resumed_sweep_knows_what_the_first_one_knew(
    sampler: str,
    bounded: bool,
    reopen: Reopen,
    make_ledger: MakeLedger,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if bounded:
        monkeypatch.setattr(view_module, "LATEST", 8)
        monkeypatch.setattr(view_module, "BEST", 3)
    settings = {"trials": 60, "sampler": sampler, "scheduler": "none", "order": "arrival"}
    ledger = make_ledger(over=reopen(), **settings)
    sweep(ledger, 30)
    again = make_ledger(over=reopen(), resume=True, **settings)
    assert known(again) == known(ledger)
    length = len(known(again)["view"])
    assert 11 <= length <= 14 if bounded else length == 30
    packs = [key for key in again.study.system_attrs() if key.startswith(PACK_ATTR)]
    assert len(packs) == (6 if again.study.in_database else 0)
    assert [a and a.number for a in (again.ask() for _ in range(5))] == [3, 10, 17, 24, 30]


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of the trials that are read one by one."""
    read: list[int] = []
    trial = StoredStudy.trial

    def noted(study: StoredStudy, number: int) -> FrozenTrial:
        read.append(number)
        return trial(study, number)

    monkeypatch.setattr(StoredStudy, "trial", noted)
    return read


@pytest.mark.slow
@pytest.mark.parametrize("reopen", ["sqlite"], indirect=True)
def test_few_trials_of_a_database_are_read_whatever_its_length(
    reopen: Reopen, make_ledger: MakeLedger, reads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = make_ledger(over=reopen(), trials=60, scheduler="none")
    sweep(ledger, 30)
    reads.clear()
    monkeypatch.setattr(RDBStorage, "get_all_trials", None)
    make_ledger(over=reopen(), trials=60, scheduler="none", resume=True)
    assert {3, 10, 17, 24} < set(reads)
    assert len(reads) == 4 + 2  # trials in training, and trials that do not fill a pack yet


@pytest.mark.parametrize("reopen", ["sqlite"], indirect=True)
def test_a_kill_around_a_pack_loses_and_doubles_none(
    reopen: Reopen, make_ledger: MakeLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_attr = StoredStudy.set_system_attr

    def killed(study: StoredStudy, key: str, value: Any) -> None:
        if key == f"{PACK_ATTR}2":
            if after:
                set_attr(study, key, value)
            raise KeyboardInterrupt
        set_attr(study, key, value)

    for after in (False, True):
        monkeypatch.setattr(StoredStudy, "set_system_attr", killed)
        with pytest.raises(KeyboardInterrupt):
            sweep(make_ledger(over=reopen(), trials=60, scheduler="none", resume=after), 30)
    monkeypatch.setattr(StoredStudy, "set_system_attr", set_attr)
    again = make_ledger(over=reopen(), trials=60, scheduler="none", resume=True)
    ended = [t.number for t in again.ended()]
    assert len(ended) == len(set(ended)) >= 12
    states = {t.number: t.state for t in again.ended()}
    assert states == {number: again.frozen(number).state for number in ended}


@pytest.mark.parametrize("copy", ["", "bm90aGluZw==", "eJwDAAAAAAE=", 3])
def test_a_damaged_copy_of_ended_trials_is_said_in_one_line(
    make_ledger: MakeLedger, reopen: Reopen, copy: object
) -> None:
    make_ledger(over=reopen()).study.set_system_attr(f"{PACK_ATTR}0", copy)
    with refused("ledger.study-damaged", study="first/small"):
        make_ledger(over=reopen(), resume=True)
