"""Journal file of a study, which survives a kill of any process that writes it."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.trial import TrialState

from foldsweep.errors import UserError

POLL_S = 0.002
"""Seconds between attempts to take the lock. Other processes usually hold it for milliseconds, but
longer while a sampler chooses values."""


class Journal(BaseJournalBackend):
    """Journal backend that passes each line to the operating system at once: no kill loses a line.

    The kernel releases the lock when its holder dies; Optuna's own locks remain for half a minute.
    The lock file has another name than Optuna's lock file, which Optuna's dashboard takes to write
    a note: the dashboard waits as long as a file of that name exists, and then deletes it.

    Args:
        path: Path of the journal, which is created if it does not exist.
    """

    def __init__(self, path: Path):
        self._path = path
        self._lock = FileLock(path.with_name(f"{path.name}.flock"))
        self._next = 0, 0
        self.line = 0
        """Number of the line that was read last, counted from 1."""
        with self.together():
            path.open("ab").close()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Hold the lock for several writes.

        Taking the lock removes an incomplete line of a killed writer: text that is appended to
        such a line would be lost with it.
        """
        with self._lock.acquire(poll_interval=POLL_S):
            if self._lock.lock_counter == 1 and self._path.exists():
                _cut_incomplete_line(self._path)
            yield

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Yield the logs from a line on, counted from 0.

        Optuna's own backend skips a damaged last line, to which later lines are then appended.

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
            log = dict(json.loads(line))
        except (ValueError, TypeError, RecursionError):
            raise self.damaged() from None
        if not isinstance(log.get("op_code"), int) or "worker_id" not in log:
            raise self.damaged()
        return log

    def damaged(self) -> UserError:
        """Error that names the line that was read last."""
        return _damaged(self._path, self.line)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        text = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
        with self.together(), self._path.open("ab") as file:
            file.write(text.encode())

    def to_disk(self) -> None:
        """Sync the file to disk, so that a power cut loses nothing of it."""
        with self._path.open("rb") as file:
            os.fsync(file.fileno())


class StudyInJournal(JournalStorage):
    """Optuna storage in a journal, synced to disk at the end of each trial.

    Optuna syncs after every line, thirteen times for a trial of nine parameters. Here only the end
    of a trial is synced, together with all earlier lines, since all else can be sampled again.
    """

    def __init__(self, journal: Journal):
        self.journal = journal
        super().__init__(journal)

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        was_set = super().set_trial_state_values(trial_id, state, values)
        self.journal.to_disk()
        return was_set


def journal_storage(path: Path) -> StudyInJournal:
    """Storage in a journal file, which is created if it does not exist.

    Raises:
        OSError: If the file cannot be read or written.
        UserError: If a line of the file is damaged.
    """
    journal = Journal(path)
    try:
        return StudyInJournal(journal)
    # a line that is no operation; Optuna asserts that an operation is known
    except (LookupError, ValueError, TypeError, AttributeError, AssertionError):
        raise journal.damaged() from None


def _cut_incomplete_line(journal: Path) -> None:
    """Remove an incomplete last line, which a kill or a power cut has left.

    Raises:
        UserError: If an earlier line is damaged; the file is then unchanged.
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
    return UserError.of("journal.line-damaged", path=journal, line=line, before=line - 1)
