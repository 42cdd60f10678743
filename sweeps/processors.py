"""Processors that this process may use: in a batch job or container, fewer than exist."""

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")


def available_cpus(root: Path = ROOT, own: Path = OWN) -> int:
    """Number of whole processors that the affinity mask and the control groups' quotas allow.

    Args:
        root: Where control groups are mounted.
        own: File that names the groups of this process.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    least: float = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    with suppress(OSError):
        least = min([least, *_quotas(root, own.read_text("utf-8"))])
    return max(1, math.floor(least))


def _quotas(root: Path, own: str) -> Iterator[float]:
    """Quota, in processors, of each control group of this process and of its parent groups."""
    for line in own.splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            tops, quota = [root, root / "unified"], _quota
        elif "cpu" in controllers.split(","):
            tops, quota = [root / "cpu", root / "cpu,cpuacct", root / controllers], _quota_v1
        else:
            continue
        for top in tops:
            place = top / path.lstrip("/")
            # in a container the path may be the host's, which is not visible here
            for folder in {place, *place.parents} - {*top.parents}:
                with suppress(OSError, ValueError, ZeroDivisionError):
                    yield quota(folder)


def _quota(folder: Path) -> float:
    most, period = (folder / "cpu.max").read_text("utf-8").split()
    return math.inf if most == "max" else int(most) / int(period)


def _quota_v1(folder: Path) -> float:
    most = int((folder / "cpu.cfs_quota_us").read_text("utf-8"))
    return math.inf if most <= 0 else most / int((folder / "cpu.cfs_period_us").read_text("utf-8"))
