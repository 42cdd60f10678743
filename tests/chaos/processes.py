"""The processes of a sweep, found among the descendants of this one, never by name elsewhere."""

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
"""What can be killed: the program that the user started, the process that runs Ray (the same one
where there is no other), Ray's two servers, what sends to MLflow, and a trial's process while it
trains or builds its next network."""


def adopt_orphans() -> None:
    """Become the parent of what loses its own, so that it stays a descendant; Linux only."""
    if ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError("this system does not let a process adopt orphans")


def descendants(root: int) -> dict[int, str]:
    """Command lines of the processes below one, without those that are over."""
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
    """The process of a kind, but of a trial, in the sweep of `program`; None if there is none."""
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
    """Whether a trial's process trains, or builds a network (`reset`), of which it leaves a mark.

    Ray puts the method into its title.
    """
    builds = (marks / str(pid)).exists()
    if what == "reset":
        return builds
    with suppress(OSError):
        title = _command(pid)
        return title.startswith("ray::") and title.rstrip("\0 ").endswith(".train") and not builds
    return False


def end_all() -> None:
    """Kill all that is left below this process, such as Ray's two agents, and what it adopts."""
    while left := descendants(os.getpid()):
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _reap()


def _reap() -> None:
    """Take note of the end of adopted processes."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _parents() -> Iterator[tuple[int, int]]:
    """Every process that is not over, with its parent."""
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state, parent = (path / "stat").read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                yield int(path.name), int(parent)


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ")
