"""A study in PostgreSQL while connections are cut and answers are lost."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.storages import BaseStorage, InMemoryStorage, RDBStorage
from optuna.trial import TrialState
from sqlalchemy import create_engine
from sqlalchemy import text as sql

from sweeps import retries
from sweeps.ledger import Ledger
from sweeps.outages import UNSHARED, Outages, ServiceLost
from sweeps.retries import PatientStorage, num_trials, options_of
from sweeps.study import open_storage
from tests.cluster.proxy import Proxy
from tests.cluster.services import PASSWORD, Postgres, url
from tests.refusals import refused, said_as, text

pytestmark = [pytest.mark.cluster, pytest.mark.integration]
LR = {"lr": FloatDistribution(0.0, 1.0)}


@pytest.fixture(scope="module")
def name(postgres: Postgres) -> str:
    """Name of a database for these tests only."""
    postgres.execute("create database retries")
    return "retries"


@pytest.fixture
def proxy(postgres: Postgres) -> Iterator[Proxy]:
    with Proxy(postgres.port) as proxy:
        yield proxy


@pytest.fixture
def outages() -> Outages:
    return Outages(patience_s=60.0)


@pytest.fixture
def database(
    name: str, proxy: Proxy, outages: Outages, monkeypatch: pytest.MonkeyPatch
) -> Iterator[PatientStorage]:
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    opened = open_storage(url(proxy.address, name), Path("unused"))
    assert isinstance(opened, RDBStorage)
    database = PatientStorage(opened, outages, UNSHARED)
    yield database
    proxy.restore()
    for study in database.get_all_studies():
        database.delete_study(database.get_study_id_from_name(study.study_name))
    opened.engine.dispose()


@pytest.fixture
def study(database: PatientStorage) -> optuna.Study:
    return optuna.create_study(storage=database, study_name="first", direction="maximize")


def changes(study: optuna.Study, storage: BaseStorage) -> dict[str, Callable[[], Any]]:
    """Return one change of each kind that a sweep makes to its study."""
    trial = study.ask()
    study.enqueue_trial({"lr": 0.25})
    whole = optuna.trial.create_trial(params={"lr": 0.5}, distributions=LR, value=1.0)
    return {
        "param": lambda: trial.suggest_float("lr", 0.0, 1.0),
        "report": lambda: trial.report(0.5, 1),
        "attribute": lambda: trial.set_user_attr("a", 1),
        "study attribute": lambda: study.set_user_attr("a", 1),
        "add": lambda: study.add_trial(whole),
        "take": lambda: study.ask(),
        "tell": lambda: study.tell(trial, 0.5),
        "ask": lambda: study.ask(),
        "read": lambda: study.get_trials(deepcopy=False),
        "other": lambda: optuna.create_study(storage=storage, study_name="second"),
        "delete": lambda: optuna.delete_study(study_name="second", storage=storage),
    }


def shape(study: optuna.Study) -> list[tuple[Any, ...]]:
    return [
        (t.number, t.state.name, sorted(t.params), t.values, t.intermediate_values, t.user_attrs)
        for t in study.get_trials()
    ]


@pytest.fixture
def undisturbed() -> list[tuple[Any, ...]]:
    storage = InMemoryStorage()
    study = optuna.create_study(storage=storage, direction="maximize")
    for change in changes(study, storage).values():
        change()
    return shape(study)


def test_every_call_is_repeated_until_the_database_is_back(
    study: optuna.Study,
    database: PatientStorage,
    proxy: Proxy,
    outages: Outages,
    undisturbed: list[tuple[Any, ...]],
) -> None:
    waits = []

    def come_back() -> None:
        waits.append(outages.why())
        proxy.restore()

    outages.show = come_back
    for change in changes(study, database).values():
        proxy.cut()
        change()
        assert waits, "the cut was not noticed"
        assert not outages.shown()
        waits.clear()
    assert shape(study) == undisturbed


def test_a_change_whose_answer_was_lost_is_not_made_twice(
    study: optuna.Study,
    database: PatientStorage,
    proxy: Proxy,
    outages: Outages,
    undisturbed: list[tuple[Any, ...]],
) -> None:
    """The database commits, but the driver gets no answer."""
    for name, change in changes(study, database).items():
        before = proxy.lost
        proxy.lose_commits(True)
        change()
        proxy.lose_commits(False)
        assert proxy.lost > before or name == "read", name
    assert shape(study) == undisturbed


def test_a_restarted_database_goes_on(
    postgres: Postgres, study: optuna.Study, outages: Outages
) -> None:
    trial = study.ask()
    postgres.stop()
    outages.show = lambda: None
    started = []

    def start() -> None:
        if not started:
            started.append(True)
            postgres.start()

    outages.show = start
    study.tell(trial, 0.5)
    assert started
    assert [t.state for t in study.get_trials()] == [TrialState.COMPLETE]


def test_a_database_that_stays_away_ends_the_sweep(
    study: optuna.Study, proxy: Proxy, outages: Outages
) -> None:
    outages.patience_s = 0.1
    proxy.cut()
    with pytest.raises(ServiceLost) as caught:
        study.ask()
    lost = str(caught.value)
    assert said_as("outages.lost", service="study", seconds="0.1").fullmatch(lost)
    assert re.search("closed|reset", lost)


@pytest.mark.parametrize("is_silent_for", ["connections", "statements"])
def test_a_database_that_says_nothing_is_away(
    study: optuna.Study,
    database: PatientStorage,
    proxy: Proxy,
    outages: Outages,
    undisturbed: list[tuple[Any, ...]],
    monkeypatch: pytest.MonkeyPatch,
    is_silent_for: str,
) -> None:
    monkeypatch.setattr(retries, "ANSWER_WITHIN_S", 0.5)
    monkeypatch.setitem(retries.POSTGRES, "connect_timeout", 2)
    waits = []

    def come_back() -> None:
        waits.append(outages.why())
        proxy.restore()

    outages.show = come_back
    steps = list(changes(study, database).values())
    for change in steps[:2]:
        if is_silent_for == "connections":
            proxy.drop()
        proxy.hold()
        change()
        assert waits, "the silence was not noticed"
        waits.clear()
    for change in steps[2:]:
        change()
    assert shape(study) == undisturbed


def test_a_database_that_is_silent_at_the_start_is_refused(
    name: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(retries.POSTGRES, "connect_timeout", 2)
    proxy.hold()
    with refused("study.not-opened") as caught:
        open_storage(url(proxy.address, name), Path("unused"))
    assert "timeout" in str(caught.value.values["reason"])


SET = text("passwords.postgres")
CHECK = text("study.check-server")


@pytest.mark.parametrize(
    ("password", "database", "reason", "advice"),
    [
        ("", None, "no password supplied", SET),
        ("wrong", None, 'for user "foldsweep"', SET),
        (PASSWORD, "none", 'database "none" does not exist', CHECK),
    ],
)
def test_what_a_database_refuses_is_said_with_what_to_do(
    password: str,
    database: str | None,
    reason: str,
    advice: str,
    name: str,
    proxy: Proxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PGPASSWORD", password)
    with refused("study.not-opened", advice=advice) as caught:
        open_storage(url(proxy.address, database or name), Path("unused"))
    said = str(caught.value.values["reason"])
    assert said.startswith("connection failed")
    assert said.endswith(reason)


def test_a_long_answer_is_waited_for(
    name: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time limit applies to silence, not to the duration of the answer."""
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    monkeypatch.setattr(retries, "ANSWER_WITHIN_S", 1.0)
    address = url(proxy.address, name)
    engine = create_engine(address, **options_of(address))
    with engine.connect() as connection:
        proxy.delay(0.05)
        rows = connection.execute(sql("SELECT repeat('x', 100000) FROM generate_series(1, 40)"))
        assert len(rows.all()) == 40
    engine.dispose()


def test_a_mistake_is_not_repeated(
    database: PatientStorage, study: optuna.Study, outages: Outages
) -> None:
    outages.show = lambda: pytest.fail("nothing is away")
    with pytest.raises(KeyError):
        database.get_study_id_from_name("missing")
    with pytest.raises(optuna.exceptions.DuplicatedStudyError):
        optuna.create_study(storage=database, study_name="first")


@pytest.mark.parametrize("number", [0, 1, 2, 3, 7, 8, 9])
def test_trials_are_counted_without_reading_them(
    database: PatientStorage, study: optuna.Study, number: int
) -> None:
    for _ in range(number):
        study.ask()
    study_id = database.get_study_id_from_name("first")
    assert num_trials(database, study_id) == number


def test_a_ledger_in_a_database_that_comes_and_goes_is_that_of_one_that_stays(
    database: PatientStorage,
    proxy: Proxy,
    outages: Outages,
    make_ledger: Callable[..., Ledger],
) -> None:
    outages.show = proxy.restore
    asked = []
    for over in (None, database):
        ledger = make_ledger(over=over, trials=12, scheduler="asha-stop")
        found = []
        for i in range(12):
            if over is not None:
                proxy.cut() if i % 2 else proxy.drop()
            trial = ledger.ask()
            assert trial is not None
            if not ledger.report(trial.number, 3, i % 5 / 5):
                ledger.complete(trial.number, [i % 5 / 5], {})
            else:
                ledger.prune(trial.number, {})
            found.append((trial, ledger.frozen(trial.number).state))
        asked.append(found)
    assert asked[0] == asked[1]
