"""Files that are written whole or not at all."""

import errno
import os
from contextlib import suppress
from pathlib import Path

from foldsweep.errors import UserError


def write_whole(path: Path, content: str | bytes, *, private: bool = False) -> None:
    """Write a file at once: a reader sees the old content or the new one, never a part.

    Args:
        path: Replaced if it is there.
        content: Text in UTF-8, or bytes.
        private: Nobody but its owner may read it.

    Raises:
        UserError: If the file cannot be written.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        part.touch(mode=0o600 if private else 0o666)
        part.write_bytes(content.encode() if isinstance(content, str) else content)
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise UserError(f"{path} cannot be written: {error.strerror}") from None


_OF_DISKS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
_SAID = ("database or disk is full", "disk full", "disk I/O error", *map(os.strerror, _OF_DISKS))
"""How SQLite says so, and whoever hands on an error as text."""


def disk_problem(error: BaseException | None) -> str | None:
    """What is wrong with the disk, if that is why an error came up; else None."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _OF_DISKS:
            return os.strerror(error.errno)
        found = next((said for said in _SAID if said in str(error)), None)
        if found is not None:
            return found
        error = error.__cause__ or error.__context__
    return None
