"""A copy of a space's records on `--storage`: spool, held-out rows, tracebacks.

The study has no ended trial whose records are not there too, so the driver's disk may be lost. The
spool is copied in blocks of equal size, of which only the last one is ever written again.
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
    """Copies what is new.

    Args:
        folder: Local folder of the space's spool.
        place: Where its records are kept, a URI.
        outages: Waits where the store is away.
        owner: Asked before every write.
    """

    def __init__(self, folder: Path, place: str, outages: Outages, owner: Owner = UNSHARED):
        self._folder = folder
        self._place = place
        self._outages = outages
        self._owner = owner
        self._copied: int | None = None
        self._files: dict[Path, None] = {}

    def add(self, path: Path) -> None:
        """Have a file copied with the next records; one outside of the folder is left out."""
        if path.absolute().is_relative_to(self._folder.absolute()):
            self._files[path] = None

    def copy(self) -> None:
        """Return once the store has all that was recorded so far.

        Raises:
            ServiceLost: If it stays away, or another driver has the sweep.
        """

        def attempt() -> None:
            self._outages.waited(STUDY, self._owner.check)
            or_away(self._copy)

        self._outages.waited(STORAGE, attempt)

    def is_ours(self) -> bool:
        """Whether this driver is known to have the sweep at present."""
        try:
            self._owner.check()
        except (ServiceAway, ServiceLost):
            return False
        return True

    def copy_if_there(self) -> None:
        """Copy, but wait for nothing."""
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
            if path.exists():  # else somebody has removed it, which no wait mends
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
        """Bytes of the spool that the store has from an earlier driver."""
        wanted = pafs.FileSelector(f"{root}/{BLOCKS}", allow_not_found=True)
        sizes = {info.path: info.size for info in filesystem.get_file_info(wanted)}
        if not sizes:  # a sweep that was kept elsewhere
            for path in (*self._folder.glob("held_out/*"), *self._folder.glob("errors/*")):
                self.add(path)
        whole = 0
        while sizes.get(_block(root, whole)) == BLOCK:
            whole += 1
        return whole * BLOCK


def restore(folder: Path, place: str) -> bool:
    """Replace a space's local records by those on the store; False where it has none.

    Either way the driver elsewhere may have sent more to MLflow, see `restored_up_to`.

    Raises:
        OSError: If the store is away.
        UserError: If it has names that lead out of the folder.
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
        raise UserError(f"{place} has files whose names lead out of it: they are not ours")
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
    """What a call to a store returns.

    Raises:
        ServiceAway: If the store is away.
    """
    try:
        return call()
    except STORE_ERRORS as error:
        raise ServiceAway(store_says(error)) from None


def _files(root: Path) -> Iterable[Path]:
    """Files that were copied, besides the spool's blocks."""
    paths = [path for path in root.rglob("*") if path.is_file() and not path.is_symlink()]
    return [p for p in paths if p.relative_to(root).parts[0] != BLOCKS and p.suffix != ".part"]


def _block(root: str, number: int) -> str:
    return f"{root}/{BLOCKS}/{number:06d}"


def records_of(root: str, space: str) -> str:
    """Where the records of a space are, in a sweep's folder on `--storage`."""
    return joined(root, space, RECORDS)
