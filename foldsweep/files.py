"""Files that are written whole or not at all, as UTF-8, and text that may be damaged."""

import errno
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from foldsweep.errors import UserError


def write_whole(path: Path, content: str | bytes, *, private: bool = False) -> None:
    """Write a file at once: a reader sees the old content or the new one, never a part.

    Args:
        path: Replaced if it is there.
        content: Bytes, or text, written as UTF-8; lone surrogates, which are no text, as escapes.
        private: Nobody but its owner may read it.

    Raises:
        UserError: If the file cannot be written.
    """
    encoded = content.encode(errors="backslashreplace") if isinstance(content, str) else content
    with whole(path, private=private) as part:
        part.write_bytes(encoded)


@contextmanager
def whole(path: Path, *, private: bool = False) -> Iterator[Path]:
    """A file to write, which takes the place of `path` at the end; if writing fails, it is gone.

    Args:
        path: Replaced if it is there; what is no file, such as a device or a pipe, is written to.
        private: Nobody but its owner may read it.

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
        raise UserError(f"{path} cannot be written: {error.strerror or error}") from None
    except UnicodeEncodeError:
        raise UserError(f"{path} cannot be written: it is no name for a file here") from None


def joined(place: str, *names: str) -> str:
    """A place below another; what follows `?` in a URI stays at its end."""
    path, mark, options = place.partition("?") if "://" in place else (place, "", "")
    return "/".join([path.rstrip("/"), *names]) + mark + options


def parsed(text: str | bytes, parse: Callable[[Any], Any] = json.loads) -> Any:
    """What a parser makes of a text, JSON's unless another is given.

    Raises:
        ValueError: If the text is damaged; also if it is nested deeper than Python can follow.
    """
    try:
        return parse(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


_OF_DISKS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
_SAID = ("database or disk is full", "disk full", "disk I/O error", *map(os.strerror, _OF_DISKS))
"""Parts of messages about a disk: those of SQLite, and of errors that arrive as text only."""


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
