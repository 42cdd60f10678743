"""Pipe from the process with Ray to the program that started it; unused without such a program."""

import json
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

LOG_FILE = "ray.log"
"""Log, in the folder of a sweep, of messages that Ray's native code writes."""

_place: int | None = None
_one_at_a_time = threading.Lock()
_dumps: Path | None = None


def open_channel(descriptor: int) -> None:
    """Set the pipe to the program; `tell` writes to it."""
    global _place
    _place = descriptor


def descriptors() -> tuple[int, ...]:
    """File descriptors to pass to a child process for whose end the program should wait."""
    return () if _place is None else (_place,)


def tell(**facts: Any) -> None:
    """Send facts to the program, see `sweeps.supervisor.Supervisor`."""
    if _place is not None:
        told = b"\n" + json.dumps(facts).encode() + b"\n"  # the line before may be cut off
        with _one_at_a_time, suppress(OSError):  # the program has ended
            while told:  # a pipe may accept only a part
                told = told[os.write(_place, told) :]


def keep_dumps_in(path: Path) -> None:
    """Redirect the output of native libraries to a file, and tell the program its path.

    Native libraries write to file descriptor 2; Python's own errors go to a stream of the user.
    """
    global _dumps
    if _place is None:
        return
    _dumps = path
    with path.open("ab", 0) as file:
        os.dup2(file.fileno(), 2)
    tell(log=str(path.absolute()))


def drop_empty_dumps() -> None:
    """Remove the file of `keep_dumps_in` if it is empty."""
    with suppress(OSError):
        if _dumps is not None and not _dumps.stat().st_size:
            _dumps.unlink()
