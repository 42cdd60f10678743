"""Ownership of a sweep by one driver: locks in a real PostgreSQL, and beside SQLite files."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from foldsweep.errors import UserError
from sweeps import ownership, retries
from sweeps.outages import ServiceAway, ServiceLost
from sweeps.ownership import DatabaseLock, file_lock, new_holder, shown_holder
from tests.cluster.proxy import Proxy
from tests.cluster.services import PASSWORD, STUDIES, Postgres, url
from tests.integration.user import REPOSITORY
from tests.refusals import refused, said_as

HOLDS = """
import sys, time
from sweeps.ownership import DatabaseLock
lock = DatabaseLock(sys.argv[1], sys.argv[2], lambda: None)
lock.acquire()
print("held", flush=True)
time.sleep(600)
"""


def address_of(postgres: Postgres) -> str:
    return f"127.0.0.1:{postgres.port}"


@pytest.fixture
def named() -> dict[str, Any]:
    """The driver that the study names as the last to run the sweep."""
    return {}


@pytest.fixture
def lock_of(
    postgres: Postgres, named: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., DatabaseLock]]:
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    made = []

    def make(name: str = "first", address: str = address_of(postgres)) -> DatabaseLock:
        made.append(DatabaseLock(url(address, STUDIES), name, lambda: named or None))
        return made[-1]

    yield make
    for lock in made:
        lock.release()


def end_connections(postgres: Postgres) -> None:
    """End the connections that hold locks, like an administrator or a failover."""
    postgres.execute(
        "select pg_terminate_backend(pid) from pg_locks"
        " where locktype = 'advisory' and pid <> pg_backend_pid()"
    )


def check_after(cut: Callable[[], None], lock: DatabaseLock) -> None:
    """Check until the lock notices, since the end of a connection is not known at once."""
    before = lock._connection
    cut()
    while lock._connection is before:
        lock.check()


@pytest.mark.cluster
def test_a_sweep_has_one_driver_and_the_others_are_told_which(
    lock_of: Callable[..., DatabaseLock], named: dict[str, Any]
) -> None:
    first, second = lock_of(), lock_of()
    first.acquire()
    named |= {"pid": 17, "host": "other", "since": "2026-01-01", "token": "a"}
    holder = "process 17 on other since 2026-01-01"
    with refused("ownership.sweep-in-use", sweep="first", holder=holder):
        second.acquire()
    lock_of("second").acquire()
    first.release()
    second.acquire()
    second.check()


@pytest.mark.cluster
@pytest.mark.integration
def test_a_dead_driver_s_lock_is_taken_over_at_once(
    postgres: Postgres, lock_of: Callable[..., DatabaseLock]
) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDS, url(address_of(postgres), STUDIES), "first"],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    lock = lock_of()
    with refused("ownership.sweep-in-use", sweep="first", holder="another process"):
        lock.acquire()
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    while True:  # the database needs time to notice the kill
        try:
            lock.acquire()
            return
        except UserError:
            continue


@pytest.mark.cluster
def test_a_driver_whose_connection_was_cut_goes_on_if_nobody_else_has_run_the_sweep(
    postgres: Postgres, lock_of: Callable[..., DatabaseLock], named: dict[str, Any], tmp_path: Path
) -> None:
    lock, holder = lock_of(), new_holder(tmp_path)
    lock.acquire()
    named |= holder
    lock.belongs_to(holder)
    check_after(lambda: end_connections(postgres), lock)
    with refused("ownership.sweep-in-use", holder=shown_holder(holder)):
        lock_of().acquire()


@pytest.mark.cluster
def test_a_driver_that_was_cut_off_writes_nothing_while_another_has_the_sweep(
    postgres: Postgres, lock_of: Callable[..., DatabaseLock], named: dict[str, Any], tmp_path: Path
) -> None:
    proxy = Proxy(postgres.port)
    lock, holder = lock_of(address=proxy.address), new_holder(tmp_path)
    lock.acquire()
    named |= holder
    lock.belongs_to(holder)
    proxy.cut()
    with pytest.raises(ServiceAway, match="closed|reset"):
        lock.check()
    other = lock_of()
    while True:
        try:
            other.acquire()
            break
        except UserError:
            continue
    proxy.restore()
    with pytest.raises(ServiceAway, match=said_as("ownership.held", name="first").pattern):
        lock.check()
    other.release()
    lock.check()  # the other driver has not run the sweep
    named |= new_holder(tmp_path)  # the other driver has run it
    with pytest.raises(ServiceLost, match=said_as("ownership.taken-over").pattern):
        check_after(lambda: end_connections(postgres), lock)
    proxy.close()


@pytest.mark.cluster
def test_a_lock_that_is_taken_again_is_not_held_until_it_is_known_who_ran_the_sweep(
    postgres: Postgres, named: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    answers: list[Exception] = []

    def holder() -> dict[str, Any]:
        if answers:
            raise answers.pop()
        return named

    lock, mine = (
        DatabaseLock(url(address_of(postgres), STUDIES), "asked", holder),
        new_holder(tmp_path),
    )
    lock.acquire()
    lock.belongs_to(mine)
    named |= new_holder(tmp_path)  # another driver has run the sweep
    answers.append(ServiceAway("the database has gone again"))
    with pytest.raises(ServiceAway, match="gone again"):
        check_after(lambda: end_connections(postgres), lock)
    with pytest.raises(ServiceLost, match=said_as("ownership.taken-over").pattern):
        lock.check()
    lock.release()


@pytest.mark.cluster
def test_a_driver_asks_now_and_then_whether_it_still_has_the_lock(
    postgres: Postgres, lock_of: Callable[..., DatabaseLock], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver may never be notified that its connection has ended."""
    monkeypatch.setattr(ownership, "CONFIRM_EVERY_S", 0.0)
    monkeypatch.setattr(retries, "ANSWER_WITHIN_S", 0.5)
    monkeypatch.setitem(retries.POSTGRES, "connect_timeout", 2)
    with Proxy(postgres.port) as proxy:
        lock = lock_of(address=proxy.address)
        lock.acquire()
        lock.check()
        proxy.hold()
        with pytest.raises(ServiceAway, match="timeout"):
            lock.check()


def test_a_sweep_in_a_sqlite_file_has_one_driver_whatever_its_folder(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    with file_lock(url, "first"), file_lock(url, "second"):
        with refused("ownership.sweep-in-use", sweep="first", holder="another process"):
            file_lock(url, "first")
    with file_lock(url, "first"), file_lock(None, "first"):
        pass
