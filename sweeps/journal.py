"""The study's journal file, safe against kills of any of the processes that write it."""

import json
import os
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from filelock import FileLock
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import BaseJournalFileLock
from optuna.storages.journal._storage import JournalOperation
from optuna.study import Study

from foldsweep.errors import UserError

POLL_S = 0.002
"""As a rule others keep the lock for milliseconds, though a sampler may think longer."""


class JournalLock(BaseJournalFileLock):
    """A lock that the kernel frees when its holder dies; Optuna's own stay for half a minute.

    Taking it removes a line that a killed writer left incomplete: what is appended to such a line
    would be lost with it.

    Its file has another name than the lock of Optuna's own, which the dashboard takes to write a
    note: that one waits as long as a file of its name is there, and then deletes it.
    """

    def __init__(self, journal: Path):
        self._journal = journal
        self._lock = FileLock(journal.with_name(f"{journal.name}.flock"))

    def acquire(self) -> bool:
        """Wait for the lock and mend the journal."""
        self._lock.acquire(poll_interval=POLL_S)
        if self._lock.lock_counter == 1 and self._journal.exists():
            try:
                _cut_incomplete_line(self._journal)
            except BaseException:
                self._lock.release()
                raise
        return True

    def release(self) -> None:
        """Let the next writer in."""
        self._lock.release()


class Journal(JournalFileBackend):
    """A journal whose lines all reach the operating system at once, so that no kill loses one.

    Optuna waits for the disk after every line, thirteen times for a trial of nine parameters. Only
    what cannot be drawn again is worth that wait, against a power cut: how a trial ended, and with
    it, in the same file, whatever was written before.
    """

    def __init__(self, path: Path, lock: JournalLock):
        super().__init__(str(path), lock_obj=lock)
        self._path = path
        self._own_lock = lock
        self._next = 0, 0
        self.line = 0
        """The line that was read last, counted from 1."""

    @contextmanager
    def together(self) -> Iterator[None]:
        """Keep the lock for several writes."""
        self._own_lock.acquire()
        try:
            yield
        finally:
            self._own_lock.release()

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """Logs from a number on, which counts lines from 0.

        Optuna's own passes over a damaged last line, to which others are then appended.

        Raises:
            UserError: If a line is damaged.
        """
        number, offset = self._next if self._next[0] == log_number_from else (0, 0)
        with self._path.open("rb") as file:
            left = os.fstat(file.fileno()).st_size - file.seek(offset)
            for line in file:
                left -= len(line)
                if left < 0 or not line.endswith(b"\n"):
                    return  # another process is writing it
                number, offset = number + 1, offset + len(line)
                self._next = number, offset
                self.line = number
                if number > log_number_from:
                    yield self._log(line)

    def _log(self, line: bytes) -> dict[str, Any]:
        try:
            log = json.loads(line)
            JournalOperation(log["op_code"])
        except (ValueError, LookupError, TypeError, RecursionError):
            raise self.damaged() from None
        return dict(log)

    def damaged(self) -> UserError:
        """The error that names the last line read."""
        return _damaged(self._path, self.line)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        text = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
        with self.together(), self._path.open("ab") as file:
            file.write(text.encode())
            file.flush()
            if any(log["op_code"] == JournalOperation.SET_TRIAL_STATE_VALUES for log in logs):
                os.fsync(file.fileno())


def together(study: Study | None) -> AbstractContextManager[None]:
    """Make several writes to a study quicker, if it is in a journal file."""
    backend = getattr(getattr(study, "_storage", None), "_backend", None)
    return backend.together() if isinstance(backend, Journal) else nullcontext()


def journal_storage(journal: Path) -> JournalStorage:
    """The storage in a journal file, which is made where it does not exist.

    Raises:
        OSError: If the file cannot be read or written.
        UserError: If a line of it is damaged.
    """
    lock = JournalLock(journal)
    lock.acquire()
    lock.release()
    backend = Journal(journal, lock)
    try:
        return JournalStorage(backend)
    except (LookupError, ValueError, TypeError, AttributeError):  # a line that is no operation
        raise backend.damaged() from None


def _cut_incomplete_line(journal: Path) -> None:
    """Remove what a kill or a power cut left of a line.

    Raises:
        UserError: If a line before it is damaged, which leaves the file as it is.
    """
    with journal.open("r+b") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 1))
        if file.read(1) in (b"\n", b""):
            return
        file.seek(0)
        *whole, _ = file.read().split(b"\n")
        for number, line in enumerate(whole, start=1):
            try:
                json.loads(line)
            except (ValueError, RecursionError):
                raise _damaged(journal, number) from None
        file.truncate(sum(len(line) + 1 for line in whole))


def _damaged(journal: Path, line: int) -> UserError:
    return UserError(
        f"{journal}, line {line} is damaged: restore the file from a copy, or keep only the"
        f" {line - 1} lines before it (head -n {line - 1}); trials from there on are then trained"
        " again"
    )
