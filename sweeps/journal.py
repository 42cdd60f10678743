"""The study's journal file, safe against kills of any of the processes that write it."""

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
"""As a rule others keep the lock for milliseconds, though a sampler may think longer."""


class Journal(BaseJournalBackend):
    """A journal whose lines all reach the operating system at once, so that no kill loses one.

    Its lock is one that the kernel frees when its holder dies; Optuna's own stay for half a
    minute. The lock's file has another name than that of Optuna's own, which the dashboard takes
    to write a note: that one waits as long as a file of its name is there, and then deletes it.

    Args:
        path: The file, which is made where it does not exist.
    """

    def __init__(self, path: Path):
        self._path = path
        self._lock = FileLock(path.with_name(f"{path.name}.flock"))
        self._next = 0, 0
        self.line = 0
        """The line that was read last, counted from 1."""
        with self.together():
            path.open("ab").close()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Keep the lock for several writes.

        Taking it removes a line that a killed writer left incomplete: what is appended to such a
        line would be lost with it.
        """
        with self._lock.acquire(poll_interval=POLL_S):
            if self._lock.lock_counter == 1 and self._path.exists():
                _cut_incomplete_line(self._path)
            yield

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
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
            log = dict(json.loads(line))
        except (ValueError, TypeError, RecursionError):
            raise self.damaged() from None
        if not isinstance(log.get("op_code"), int) or "worker_id" not in log:
            raise self.damaged()
        return log

    def damaged(self) -> UserError:
        """The error that names the last line read."""
        return _damaged(self._path, self.line)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        text = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
        with self.together(), self._path.open("ab") as file:
            file.write(text.encode())

    def to_disk(self) -> None:
        """Wait until all that was written is safe from a power cut."""
        with self._path.open("rb") as file:
            os.fsync(file.fileno())


class StudyInJournal(JournalStorage):
    """Optuna's storage in a journal.

    Optuna waits for the disk after every line, thirteen times for a trial of nine parameters. Here
    only the end of a trial waits, since all else can be drawn again. What was written to the file
    before it reaches the disk with it.
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
    """The storage in a journal file, which is made where it does not exist.

    Raises:
        OSError: If the file cannot be read or written.
        UserError: If a line of it is damaged.
    """
    journal = Journal(path)
    try:
        return StudyInJournal(journal)
    # a line that is no operation; Optuna asserts that it knows the operation
    except (LookupError, ValueError, TypeError, AttributeError, AssertionError):
        raise journal.damaged() from None


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
