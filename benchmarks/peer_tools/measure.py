"""Measurement of a command and all processes that it starts: time, memory and CPU by role."""

import os
import re
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

POLL_S = 2.0


@dataclass(kw_only=True)
class Measured:
    """Time, memory and CPU time of a command."""

    launched: float
    """Start, in seconds since 1970."""
    wall_s: float = 0.0
    code: int | None = None
    """Exit code; None if the command was stopped by `measure`."""
    peak_mb: float = 0.0
    """Peak of the memory of all processes together; shared pages are counted once."""
    peak_by_role: dict[str, float] = field(default_factory=dict)
    """Peak memory in MB by role."""
    cpu_by_role: dict[str, float] = field(default_factory=dict)
    """CPU seconds by role, as of the last poll of each process."""


class Tree:
    """A process and all its descendants, also those whose parents have ended."""

    def __init__(self, root: int):
        self.root = root
        self.known: dict[int, psutil.Process] = {root: psutil.Process(root)}
        self.cpu: dict[int, tuple[str, float]] = {}

    def refresh(self) -> None:
        """Add new descendants and remove processes that have ended."""
        for process in list(self.known.values()):
            try:
                for child in process.children(recursive=True):
                    self.known.setdefault(child.pid, child)
            except psutil.Error:
                continue
        self.known = {pid: p for pid, p in self.known.items() if _lives(p)}

    def memory_mb(self) -> dict[int, float]:
        """Return the proportional set size of each process in MB; RSS if PSS is not available."""
        sizes = {}
        for pid, process in self.known.items():
            try:
                info = process.memory_full_info()
                sizes[pid] = getattr(info, "pss", info.rss) / 2**20
            except psutil.Error:
                continue
        return sizes

    def cpu_s(self) -> dict[str, float]:
        """Return the CPU seconds by role, including processes that have ended."""
        for pid, process in self.known.items():
            try:
                times = process.cpu_times()
                self.cpu[pid] = self.role(pid), times.user + times.system
            except psutil.Error:
                continue
        return _by_role(self.cpu.values())

    def role(self, pid: int) -> str:
        """Return the role of a process: `driver`, `actors`, `uploader`, or `ray` for any other."""
        try:
            command = " ".join(self.known[pid].cmdline())
        except (psutil.Error, KeyError):
            return "ray"
        if pid == self.root or "sweeps.driver" in command:
            return "driver"
        if command.startswith("ray::") and not re.match(r"ray::(IDLE|\w+Agent)", command):
            return "actors"
        return "uploader" if "replay" in command else "ray"

    def end(self) -> None:
        """Kill all remaining processes."""
        self.refresh()
        for process in self.known.values():
            try:
                process.kill()
            except psutil.Error:
                continue
        psutil.wait_procs(list(self.known.values()), timeout=10)


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def measure(
    command: list[str],
    folder: Path,
    environment: Mapping[str, str],
    *,
    limit_s: float,
    enough: Callable[[], bool] = lambda: False,
) -> Measured:
    """Run and measure a command in a folder until it ends, `enough` returns True, or time is up.

    Its output goes to `output.log` in the folder. At the end, all its processes are killed.
    """
    with (folder / "output.log").open("wb") as log:
        launched = time.time()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        seen = Measured(launched=launched)
        tree = Tree(process.pid)
        try:
            while seen.code is None and not enough() and seen.wall_s < limit_s:
                tree.refresh()
                _take_in(seen, tree)
                try:
                    seen.code = process.wait(POLL_S)
                except subprocess.TimeoutExpired:
                    pass
                seen.wall_s = time.time() - launched
        finally:
            tree.end()
            process.wait()
    return seen


def _take_in(seen: Measured, tree: Tree) -> None:
    seen.cpu_by_role = tree.cpu_s()
    sizes = tree.memory_mb()
    seen.peak_mb = max(seen.peak_mb, sum(sizes.values()))
    for role, size in _by_role((tree.role(pid), size) for pid, size in sizes.items()).items():
        seen.peak_by_role[role] = max(seen.peak_by_role.get(role, 0.0), size)


def _by_role(values: Iterable[tuple[str, float]]) -> dict[str, float]:
    sums: defaultdict[str, float] = defaultdict(float)
    for role, value in values:
        sums[role] += value
    return dict(sums)
