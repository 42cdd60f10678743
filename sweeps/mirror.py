"""A copy of a space's records on `--storage`: spool, held-out rows, tracebacks.

The records of every trial that has ended in the study are in the copy, so the sweep survives the
loss of the driver's disk. The spool is copied in blocks of equal size; only the last block is ever
rewritten.
"""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import pyarrow.fs as pafs

from foldsweep.errors import UserError
from foldsweep.files import joined, write_whole
from sweeps.outages import (
    STORAGE,
    STUDY,
    UNSHARED,
    Outages,
    Owner,
    ServiceAway,
    ServiceLost,
)
from sweeps.tracking.spool import CURSOR_FILE, REJECTED_FILE, RESTORED_FILE, SPOOL_FILE
from trainables.stores import STORE_ERRORS, located, replace_file, store_says

T = TypeVar("T")

RECORDS = "records"
"""Folder of a space's records on `--storage`."""
BLOCKS = "spool"
BLOCK = 2**18
"""Bytes of a block."""


class Mirror:
    """Copies new records to `--storage`.

    Args:
        folder: Local folder of the space's spool.
        place: URI of the copy.
        outages: Waits while the store is unavailable.
        owner: Checked by `copy` before it writes.
    """

    def __init__(self, folder: Path, place: str, outages: Outages, owner: Owner = UNSHARED):
        self._folder = folder
        self._place = place
        self._outages = outages
        self._owner = owner
        self._copied: int | None = None
        self._files: dict[Path, None] = {}

    def add(self, path: Path) -> None:
        """Add a file to the next copy; a file outside the folder is ignored."""
        if path.absolute().is_relative_to(self._folder.absolute()):
            self._files[path] = None

    def copy(self) -> None:
        """Copy all records so far, and return once the store has them.

        Raises:
            ServiceLost: If the store stays unavailable, or another driver has the sweep.
        """

        def attempt() -> None:
            self._outages.waited(STUDY, self._owner.check)
            or_away(self._copy)

        self._outages.waited(STORAGE, attempt)

    def is_ours(self) -> bool:
        """Whether this driver owns the sweep; False if that cannot be found out."""
        try:
            self._owner.check()
        except (ServiceAway, ServiceLost):
            return False
        return True

    def copy_if_there(self) -> None:
        """Copy without waiting; if the store is unavailable, only note that."""
        try:
            self._copy()
        except STORE_ERRORS as error:
            self._outages.note(STORAGE, 0.0, store_says(error))

    def _copy(self) -> None:
        filesystem, root = located(self._place)
        if self._copied is None:
            self._copied = self._found(filesystem, root)
        for path in list(self._files):  # before the records that name them
            name = path.absolute().relative_to(self._folder.absolute()).as_posix()
            if path.exists():  # if it was removed, waiting does not help
                replace_file(filesystem, f"{root}/{name}", path.read_bytes())
            del self._files[path]
        spool = self._folder / SPOOL_FILE
        size = spool.stat().st_size
        if size == self._copied:
            return
        with spool.open("rb") as file:
            for number in range(self._copied // BLOCK, -(-size // BLOCK)):
                file.seek(number * BLOCK)
                replace_file(filesystem, _block(root, number), file.read(BLOCK))
                self._copied = min((number + 1) * BLOCK, size)

    def _found(self, filesystem: pafs.FileSystem, root: str) -> int:
        """Bytes of the spool, in whole blocks, that the store has from an earlier driver."""
        wanted = pafs.FileSelector(f"{root}/{BLOCKS}", allow_not_found=True)
        sizes = {info.path: info.size for info in filesystem.get_file_info(wanted)}
        if not sizes:  # the copy of this sweep was elsewhere
            for path in (*self._folder.glob("held_out/*"), *self._folder.glob("errors/*")):
                self.add(path)
        whole = 0
        while sizes.get(_block(root, whole)) == BLOCK:
            whole += 1
        return whole * BLOCK


def restore(folder: Path, place: str) -> bool:
    """Replace a space's local records by those in the store; return False if it has none.

    In both cases the earlier driver may have sent more to MLflow, see `restored_up_to`.

    Raises:
        OSError: If the store is unavailable.
        UserError: If the store has file names that lead out of the folder.
    """
    filesystem, root = located(place)
    blocks = filesystem.get_file_info(pafs.FileSelector(f"{root}/{BLOCKS}", allow_not_found=True))
    if not blocks:
        folder.mkdir(parents=True, exist_ok=True)
        spool = folder / SPOOL_FILE
        _mark(folder, spool.stat().st_size if spool.exists() else 0)
        return False
    wanted = pafs.FileSelector(root, recursive=True)
    names = [info.path[len(root) + 1 :] for info in filesystem.get_file_info(wanted)]
    if any(".." in name.split("/") for name in names):
        raise UserError.of("mirror.names-lead-out", place=place)
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder) as part:
        pafs.copy_files(
            root, part, source_filesystem=filesystem, destination_filesystem=pafs.LocalFileSystem()
        )
        copied = b"".join(p.read_bytes() for p in sorted(Path(part, BLOCKS).glob("[0-9]*[0-9]")))
        copied = copied[: copied.rfind(b"\n") + 1]
        for path in _files(Path(part)):
            to = folder / path.relative_to(part)
            to.parent.mkdir(parents=True, exist_ok=True)
            path.replace(to)
    for name in (CURSOR_FILE, REJECTED_FILE):
        (folder / name).unlink(missing_ok=True)
    _mark(folder, len(copied))
    write_whole(folder / SPOOL_FILE, copied)
    return True


def _mark(folder: Path, offset: int) -> None:
    write_whole(folder / RESTORED_FILE, json.dumps({"offset": offset}))


def or_away(call: Callable[[], T]) -> T:
    """Return the result of a call to a store.

    Raises:
        ServiceAway: If the store is unavailable.
    """
    try:
        return call()
    except STORE_ERRORS as error:
        raise ServiceAway(store_says(error)) from None


def _files(root: Path) -> Iterable[Path]:
    """Copied files, except blocks of the spool and incomplete ones."""
    paths = [path for path in root.rglob("*") if path.is_file() and not path.is_symlink()]
    return [p for p in paths if p.relative_to(root).parts[0] != BLOCKS and p.suffix != ".part"]


def _block(root: str, number: int) -> str:
    return f"{root}/{BLOCKS}/{number:06d}"


def records_of(root: str, space: str) -> str:
    """Path of a space's records in a sweep's folder on `--storage`."""
    return joined(root, space, RECORDS)
