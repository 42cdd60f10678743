import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import TrialState, create_trial

from search_spaces.space import SearchSpace
from sweeps.ledger import Ledger
from sweeps.outages import Outages, ServiceLost
from sweeps.retries import PatientStorage
from sweeps.study import StoredStudy, has_study, open_storage

MakeLedger = Callable[..., Ledger]
MOST_COMMITS = 6
"""Transactions of a trial with three rungs, however it ends."""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[RDBStorage]:
    storage = open_storage(f"sqlite:///{tmp_path}/study.db", tmp_path / "unused")
    assert isinstance(storage, RDBStorage)
    yield storage
    storage.engine.dispose()


class Commits:
    """Counter of a database's transactions, including read-only ones."""

    def __init__(self, storage: RDBStorage):
        self.number = 0
        sqlalchemy.event.listen(storage.engine, "commit", self._count)

    def _count(self, connection: object) -> None:
        self.number += 1

    def of(self, do: Callable[[], Any]) -> int:
        before = self.number
        do()
        return self.number - before


def trained(ledger: Ledger, how: str) -> None:
    """Train a trial past two rungs, and to its end or to a decision at the third."""
    asked = ledger.ask()
    assert asked is not None
    number = asked.number
    best, worst = number / 1000, -number / 1000  # `best` is higher than in all earlier trials
    result = {"by_fold": {"val_accuracy": [best, best]}}
    for rung in (3, 9):
        assert not ledger.report(number, rung, best, result)
    if how == "PRUNED":
        assert ledger.report(number, 27, worst, result)
        return ledger.prune(number, result)
    assert not ledger.report(number, 27, best, result)
    if how == "FAIL":
        return ledger.fail(number, "a loss became infinite")
    ledger.report(number, 81, best, result, ended=True)
    ledger.complete(number, [best], result)


@pytest.mark.parametrize("sampler", ["random", "tpe", "cmaes", "qmc"])
def test_a_trial_of_three_rungs_is_a_few_transactions_however_it_ends(
    sampler: str, database: RDBStorage, make_ledger: MakeLedger
) -> None:
    ledger = make_ledger(
        over=database, trials=60, sampler=sampler, scheduler="asha-stop", epochs=81
    )
    commits = Commits(database)
    found: dict[str, set[int]] = {}
    for how in ("COMPLETE", "FAIL", "PRUNED") * 14:
        found.setdefault(how, set()).add(commits.of(lambda how=how: trained(ledger, how)))
    assert found == {how: {MOST_COMMITS} for how in ("COMPLETE", "FAIL", "PRUNED")}
    ended = ledger.ended()
    assert {t.state.name for t in ended} == set(found)
    assert all(t.by_fold for t in ended if t.state != TrialState.FAIL)


def test_so_is_one_of_several_objectives(database: RDBStorage, make_ledger: MakeLedger) -> None:
    """NSGA-II stores the parents of each generation."""
    both = ("val_accuracy", "num_params")
    ledger = make_ledger(over=database, trials=60, sampler="nsga2", objective=both)
    commits = Commits(database)

    def train() -> None:
        asked = ledger.ask()
        assert asked is not None
        ledger.complete(asked.number, [0.5, float(asked.number)], {})

    assert {commits.of(train) for _ in range(50)} == {3}


def test_a_grid_is_no_row_of_the_study_before_it_runs(
    database: RDBStorage, make_ledger: MakeLedger, make_space: Callable[..., SearchSpace]
) -> None:
    values = tuple(range(1, 101))
    grid = {"hidden": values, "batch_size": values, "epochs": tuple(range(1, 11))}
    space = make_space(domains={}, grid=grid)
    ledger = make_ledger(over=database, space=space, sampler="grid", trials=None)
    assert (ledger.budget, ledger.study.length()) == (100_001, 0)
    asked = [ledger.ask() for _ in range(3)]
    assert [a and a.origin for a in asked] == ["report/row", "grid", "grid"]
    assert [a and a.values["hidden"] for a in asked[1:]] == [1, 2]
    assert ledger.study.length() == 3


def test_a_trial_that_was_cut_off_is_given_out_by_the_one_driver_only(
    database: RDBStorage, make_ledger: MakeLedger
) -> None:
    """Nothing is written at that point, so the lock must be checked explicitly."""

    class Owner:
        is_lost = False

        def check(self) -> None:
            if self.is_lost:
                raise ServiceLost("another driver has the sweep")

    owner = Owner()
    ledger = make_ledger(over=PatientStorage(database, Outages(0.0), owner))
    asked = ledger.ask()
    assert asked is not None
    ledger.give_back(asked.number)
    owner.is_lost = True
    with pytest.raises(ServiceLost):
        ledger.ask()
    owner.is_lost = False
    assert ledger.ask() == asked


@pytest.fixture
def study(reopen: Callable[[], BaseStorage]) -> StoredStudy:
    storage = reopen()
    optuna.create_study(study_name="first", storage=storage)
    return StoredStudy(storage, "first")


def test_another_end_is_refused(study: StoredStudy) -> None:
    study.create(0, create_trial(state=TrialState.RUNNING))
    study.end(0, TrialState.FAIL, None)
    with pytest.raises(UpdateFinishedTrialError):
        study.end(0, TrialState.COMPLETE, [0.5])


@pytest.mark.parametrize("length", [0, 1, 2, 3, 7, 8, 9])
def test_the_length_of_a_study_is_its_number_of_trials(study: StoredStudy, length: int) -> None:
    for number in range(length):
        study.create(number, create_trial(state=TrialState.RUNNING))
    assert study.length() == length
    assert [t.number for t in study.trials(range(length))] == list(range(length))


def test_a_study_is_known_by_its_name(study: StoredStudy) -> None:
    assert has_study(study.storage, "first")
    assert not has_study(study.storage, "second")


@pytest.mark.parametrize("single", [0, 1000])
def test_trials_are_read_alike_one_by_one_and_at_once(
    study: StoredStudy, single: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweeps.study._MOST_SINGLE", single)
    trial = create_trial(state=TrialState.RUNNING)
    for number in range(4):
        study.create(number, copy.deepcopy(trial))
    assert [t.number for t in study.trials([1, 3])] == [1, 3]
