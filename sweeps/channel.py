"""What the process with Ray in it tells the program that started it; nothing where none did."""

import json
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

LOG_FILE = "ray.log"
"""What Ray says below Python, in the folder of a sweep."""

_place: int | None = None
_one_at_a_time = threading.Lock()
_dumps: Path | None = None


def open_channel(descriptor: int) -> None:
    """Tell the program at the other end of this pipe from now on."""
    global _place
    _place = descriptor


def descriptors() -> tuple[int, ...]:
    """What a process must inherit whose end the program should wait for, too."""
    return () if _place is None else (_place,)


def tell(**facts: Any) -> None:
    """Tell facts, see `sweeps.supervisor.Supervisor`."""
    if _place is not None:
        told = b"\n" + json.dumps(facts).encode() + b"\n"  # the one before may be cut off
        with _one_at_a_time, suppress(OSError):  # the program has gone
            while told:  # more than a pipe takes at once
                told = told[os.write(_place, told) :]


def keep_dumps_in(path: Path) -> None:
    """Let what libraries below Python write go to a file, and say so.

    File descriptor 2 is theirs; Python's own errors go where the user sees them.
    """
    global _dumps
    if _place is None:
        return
    _dumps = path
    with path.open("ab", 0) as file:
        os.dup2(file.fileno(), 2)
    tell(log=str(path.absolute()))


def drop_empty_dumps() -> None:
    """Remove the file of `keep_dumps_in` if there is nothing in it."""
    with suppress(OSError):
        if _dumps is not None and not _dumps.stat().st_size:
            _dumps.unlink()
