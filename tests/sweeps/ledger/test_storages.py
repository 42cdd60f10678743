"""Studies in journals and databases."""

import os
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

import optuna
import pytest
from optuna.storages import BaseStorage, RDBStorage

from sweeps.outcomes import FAILURE_ATTR, POINT_ATTR, RESULT_ATTR, STOPPED_AT
from sweeps.study import open_storage
from tests.refusals import refused, text
from tests.sweeps.ledger.asking import MakeLedger, ask, complete


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
    with refused("study.not-opened", advice=text("study.url-examples")) as caught:
        open_storage(url, tmp_path / "unused")
    assert said in str(caught.value.values["reason"])
    assert "\n" not in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


def test_a_database_that_does_not_answer_is_said_in_one_line(
    refused_port: int, tmp_path: Path
) -> None:
    pytest.importorskip("psycopg")
    with refused("study.not-opened", url=f"postgresql://u@127.0.0.1:{refused_port}/x") as caught:
        open_storage(f"postgresql://u:s3cr3t@127.0.0.1:{refused_port}/x", tmp_path / "unused")
    assert "refused" in str(caught.value.values["reason"])
    assert "\n" not in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


def test_a_missing_driver_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    reason, advice = text("study.driver-missing"), text("study.install-driver")
    with refused("study.not-opened", reason=reason, advice=advice):
        open_storage("postgresql://user@127.0.0.1/study", tmp_path / "unused")


def test_a_journal_that_cannot_be_written_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with refused("study.file-not-writable", path=tmp_path / "file" / "study.journal"):
        open_storage(None, tmp_path / "file" / "study.journal")
    with refused("study.file-not-writable", path=tmp_path, reason="Is a directory"):
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
    with refused("ledger.study-damaged", study="first/small") as caught:
        make_ledger(over=reopen(), resume=True)
    why = str(caught.value.values["why"])
    assert why.startswith(f"trial {number} ")
    assert named in why


def test_a_damaged_database_is_said_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    path.write_text("no database" * 100)
    with refused("study.not-opened") as caught:
        open_storage(f"sqlite:///{path}", tmp_path / "unused")
    assert "file is not a database" in str(caught.value.values["reason"])
    assert "\n" not in str(caught.value)


@pytest.fixture
def postgres(refused_port: int) -> Iterator[str]:
    """URL of an empty PostgreSQL database: FOLDSWEEP_POSTGRES, or one started here if possible."""
    pytest.importorskip("psycopg")
    given = os.environ.get("FOLDSWEEP_POSTGRES")
    if given:
        yield given
        return
    if shutil.which("initdb") is None or shutil.which("pg_ctl") is None:
        pytest.skip("needs PostgreSQL: initdb and pg_ctl, or a URL in FOLDSWEEP_POSTGRES")
    user = "postgres" if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
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
    """A kill then loses no written record, and a power cut no trial that has ended."""
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
    assert synced[-1] == journal.stat().st_size  # including all records written before
    assert second.number != first.number


def test_a_trial_is_a_few_lines_of_the_journal(tmp_path: Path, make_ledger: MakeLedger) -> None:
    """The journal does not get a line for each parameter value."""
    journal = tmp_path / "study.journal"
    ledger = make_ledger(over=open_storage(None, journal), sampler="tpe", trials=30)
    complete(ledger, ask(ledger))
    before = journal.read_bytes().count(b"\n")
    for _ in range(20):
        asked = ask(ledger)
        ledger.report(asked.number, 9, 0.5, ended=True)  # no rule reads this report
        complete(ledger, asked)
    assert journal.read_bytes().count(b"\n") - before == 20 * 3


def test_sweeps_may_make_the_tables_of_a_fresh_database_at_once(tmp_path: Path) -> None:
    """SQLite reports to the second process that a table exists already."""
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
