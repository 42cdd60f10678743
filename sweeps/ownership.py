"""Ownership of a sweep: one driver runs it at a time, across folders and machines.

In PostgreSQL, the driver holds a lock through a separate connection, so the database frees the
lock when the driver ends. A sweep in files has a lock file, which the operating system frees.
"""

import hashlib
import os
import select
import socket
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from sqlalchemy import Connection, create_engine
from sqlalchemy import text as sql
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from foldsweep.errors import UserError, first_line
from foldsweep.texts import text
from foldsweep.tracking import sqlite_path
from sweeps.outages import ServiceAway, ServiceLost
from sweeps.retries import options_of

Holder = Mapping[str, Any]
FREED_AFTER = {"tcp_keepalives_idle": 10, "tcp_keepalives_interval": 5, "tcp_keepalives_count": 3}
"""Connection settings with which the database detects that the driver's machine is gone."""
UNANSWERED_MS = 30_000
CONFIRM_EVERY_S = 5.0
"""Seconds between two checks of the connection. The database needs longer to detect that a driver
is gone, so a driver checks again before another one can get its lock."""


def new_holder(folder: Path) -> dict[str, Any]:
    """Record of this driver for the study, with a unique `token`."""
    return {
        "token": uuid.uuid4().hex,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
        "folder": str(folder.resolve()),
    }


def shown_holder(holder: Holder | None) -> str:
    """Description of a driver for messages; None for an unknown one."""
    if holder is None:
        return "another process"
    return f"process {holder['pid']} on {holder['host']} since {holder['since']}"


class DatabaseLock:
    """Advisory lock in PostgreSQL, held by a separate connection.

    Args:
        url: The study's URL.
        name: Name of the sweep.
        holder: Returns the driver recorded in the study, None if none is; may raise `ServiceAway`.
    """

    def __init__(self, url: str, name: str, holder: Callable[[], Holder | None]):
        own = {"poolclass": NullPool, "isolation_level": "AUTOCOMMIT"}
        self._engine = create_engine(url, **own, **options_of(url))
        digest = hashlib.sha256(f"foldsweep sweep {name}".encode()).digest()
        self._key = int.from_bytes(digest[:8], "big", signed=True)
        self._name = name
        self._holder = holder
        self._mine: str | None = None
        self._connection: Connection | None = None
        self._confirmed_at = 0.0

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            UserError: If another driver has it.
            ServiceAway: If the database does not answer.
        """
        if not self._take():
            holder = shown_holder(self._holder())
            raise UserError.of("ownership.sweep-in-use", sweep=self._name, holder=holder)

    def belongs_to(self, holder: Holder) -> None:
        """Make `check` verify that this driver is the last one recorded in the study."""
        self._mine = holder["token"]

    def check(self) -> None:
        """Return if the lock is held; take it again if its connection was cut.

        Raises:
            ServiceAway: If the database does not answer, or another process has the lock.
            ServiceLost: If another driver has run the sweep meanwhile.
        """
        if self._connection is not None and self._is_connected(self._connection):
            return
        self._drop()
        if not self._take():
            now = shown_holder(self._holder())
            raise ServiceAway(text("ownership.held", name=self._name, holder=now))
        try:
            holder = self._holder()
            if self._mine is not None and (holder is None or holder["token"] != self._mine):
                raise ServiceLost(text("ownership.taken-over", holder=shown_holder(holder)))
        except BaseException:  # the lock counts as held only if the last driver is known
            self._drop()
            raise

    def release(self) -> None:
        """Release the lock, so that another driver can acquire it."""
        self._drop()
        self._engine.dispose()

    def _take(self) -> bool:
        try:
            connection = self._engine.connect()
            try:
                for key, value in {**FREED_AFTER, "tcp_user_timeout": UNANSWERED_MS}.items():
                    connection.execute(sql(f"SET {key} = {value}"))
                taken = connection.execute(
                    sql("SELECT pg_try_advisory_lock(:key)"), {"key": self._key}
                ).scalar_one()
            except BaseException:
                connection.close()
                raise
        except SQLAlchemyError as error:
            raise ServiceAway(first_line(getattr(error, "orig", None) or error)) from None
        if not taken:
            connection.close()
            return False
        self._connection = connection
        self._confirmed_at = time.monotonic()
        return True

    def _is_connected(self, connection: Connection) -> bool:
        """Whether the connection works.

        Polls the socket first, which costs nothing: a database that shuts down sends a message.
        Queries the database only then, or after `CONFIRM_EVERY_S` seconds.
        """
        try:
            socket_of: Any = connection.connection.driver_connection
            says_something = select.select([socket_of.fileno()], [], [], 0)[0]
            now = time.monotonic()
            if says_something or now > self._confirmed_at + CONFIRM_EVERY_S:
                connection.execute(sql("SELECT 1"))
                self._confirmed_at = now
            return True
        except Exception:  # of SQLAlchemy, the system, or the closed connection
            return False

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None


def file_lock(url: str | None, name: str) -> AbstractContextManager[object]:
    """Lock of a sweep whose study is in a SQLite file, which sweeps in other folders may share.

    Other studies get a context without a lock.

    Raises:
        UserError: If another driver has the lock, or the folder is not writable.
    """
    path = sqlite_path(url or "")
    if path is None or not path.parent.is_dir():
        return nullcontext()
    try:
        return FileLock(f"{path}.{name}.lock").acquire(timeout=0)
    except Timeout:
        raise UserError.of(
            "ownership.sweep-in-use", sweep=name, holder="another process"
        ) from None
    except OSError as error:
        raise UserError.of(
            "ownership.folder-not-writable", folder=path.parent, reason=error.strerror
        ) from None
