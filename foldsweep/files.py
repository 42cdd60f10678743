"""Atomic writing of UTF-8 files, reading of text that may be damaged, and errors of disks."""

import errno
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from foldsweep.errors import UserError
from foldsweep.texts import text


def write_whole(path: Path, content: str | bytes, *, private: bool = False) -> None:
    """Write a file atomically: a reader sees the old content or the new content, never a part.

    Args:
        path: File to write; an existing one is replaced.
        content: Bytes, or text, which is encoded as UTF-8 with lone surrogates as escapes.
        private: Whether only the owner may read the file.

    Raises:
        UserError: If the file cannot be written.
    """
    encoded = content.encode(errors="backslashreplace") if isinstance(content, str) else content
    with whole(path, private=private) as part:
        part.write_bytes(encoded)


@contextmanager
def whole(path: Path, *, private: bool = False) -> Iterator[Path]:
    """Yield a temporary file, which replaces `path` at the end and is deleted if writing fails.

    Args:
        path: File to write; an existing one is replaced. A device or a pipe is yielded itself and
            written to directly.
        private: Whether only the owner may read the file.

    Raises:
        UserError: If the file cannot be written.
    """
    try:
        if path.exists() and not path.is_file():
            yield path
            return
        goal = path.resolve() if path.is_symlink() else path
        part = goal.with_name(f"{goal.name}.part")
        try:
            part.touch(mode=0o600 if private else 0o666)
            yield part
            part.replace(goal)
        except BaseException:
            with suppress(OSError, ValueError):
                part.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UserError.of(
            "files.file-not-writable", path=path, reason=error.strerror or error
        ) from None
    except UnicodeEncodeError:
        raise UserError.of("files.name-not-allowed", path=path) from None


def joined(place: str, *names: str) -> str:
    """Append names to a path or URI; the options of a URI after `?` stay at its end."""
    path, mark, options = place.partition("?") if "://" in place else (place, "", "")
    return "/".join([path.rstrip("/"), *names]) + mark + options


def parsed(content: str | bytes, parse: Callable[[Any], Any] = json.loads) -> Any:
    """Parse a text, as JSON unless another parser is given.

    Raises:
        ValueError: If the text is damaged, or nested deeper than Python's recursion limit.
    """
    try:
        return parse(content)
    except RecursionError:
        raise ValueError(text("files.too-deep")) from None


_OF_DISKS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
_SAID = ("database or disk is full", "disk full", "disk I/O error", *map(os.strerror, _OF_DISKS))
"""Parts of messages about a disk: from SQLite, and from errors that are passed on as text."""


def disk_problem(error: BaseException | None) -> str | None:
    """Return the disk problem that caused an exception, in words; None for any other cause."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _OF_DISKS:
            return os.strerror(error.errno)
        found = next((said for said in _SAID if said in str(error)), None)
        if found is not None:
            return found
        error = error.__cause__ or error.__context__
    return None
