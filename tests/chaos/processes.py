"""Processes of a sweep, found among this process's descendants, never by name elsewhere."""

import ctypes
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Literal, get_args

PR_SET_CHILD_SUBREAPER = 36
Kind = Literal["program", "driver", "raylet", "gcs", "uploader", "train", "reset"]
KINDS: tuple[str, ...] = get_args(Kind)
"""Kinds of kills.

`program` is the process that the user started, `driver` the one that runs Ray (the program itself
where no other does), `raylet` and `gcs` are Ray's two servers, and `uploader` sends records to
MLflow. `train` and `reset` are a trial's process while it trains or builds its next network.
"""


def adopt_orphans() -> None:
    """Become the parent of orphaned processes, so that they stay descendants; Linux only."""
    if ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError("this system does not let a process adopt orphans")


def descendants(root: int) -> dict[int, str]:
    """Return the command lines of all running processes below `root`, by process id."""
    parents = dict(_parents())
    found: dict[int, str] = {}
    for pid in parents:
        above: int | None = pid
        while above is not None and above != root:
            above = parents.get(above)
        if above == root and pid != root:
            with suppress(OSError):
                found[pid] = _command(pid)
    return found


def find(kind: str, program: int) -> int | None:
    """Return the process of a kind in the sweep of `program`, or None. Not for trials' processes.

    Raises ValueError for `train` and `reset`.
    """
    if kind == "program":
        return program
    commands = descendants(program)
    marks = {
        "gcs": "/gcs_server",
        "driver": "/gcs_server",
        "raylet": "/raylet/raylet",
        "uploader": "sweeps.replay",
    }
    if kind in marks:
        found = next((pid for pid, text in commands.items() if marks[kind] in text), None)
        if kind != "driver":
            return found
        return program if found is None else dict(_parents()).get(found)
    raise ValueError(kind)


def does(pid: int, what: str, marks: Path) -> bool:
    """Whether a trial's process trains, or builds a network (`reset`).

    A process that builds a network has a file in `marks`; Ray puts the method that runs into the
    process title.
    """
    builds = (marks / str(pid)).exists()
    if what == "reset":
        return builds
    with suppress(OSError):
        title = _command(pid)
        return title.startswith("ray::") and title.rstrip("\0 ").endswith(".train") and not builds
    return False


def end_all() -> None:
    """Kill all processes below this one, such as Ray's two agents and adopted orphans."""
    while left := descendants(os.getpid()):
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _reap()


def _reap() -> None:
    """Reap adopted processes that have ended."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _parents() -> Iterator[tuple[int, int]]:
    """Yield every process that is not a zombie, with its parent."""
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state, parent = (path / "stat").read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                yield int(path.name), int(parent)


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ")
