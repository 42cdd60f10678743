"""The study's journal file, safe against kills of any of the processes that write it."""

from pathlib import Path

from filelock import FileLock
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import BaseJournalFileLock


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
        self._lock.acquire()
        if self._journal.exists():
            _cut_incomplete_line(self._journal)
        return True

    def release(self) -> None:
        """Let the next writer in."""
        self._lock.release()


def journal_storage(journal: Path) -> JournalStorage:
    """The storage in a journal file, which is made where it does not exist.

    Raises:
        OSError: If the file cannot be read or written.
    """
    lock = JournalLock(journal)
    lock.acquire()
    lock.release()
    return JournalStorage(JournalFileBackend(str(journal), lock_obj=lock))


def _cut_incomplete_line(journal: Path) -> None:
    with journal.open("r+b") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 1))
        if file.read(1) in (b"\n", b""):
            return
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)
