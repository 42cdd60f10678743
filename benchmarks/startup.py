"""Times of the stages of a sweep of tiny trials: `python benchmarks/startup.py`, see `--help`.

The sweep runs as usual, but records the time and the CPU time of its processes at milestones. A
second table has the import times by library.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foldsweep.errors import UserError
from foldsweep.programs import parse, require_at_least, run_program
from peer_tools.checks import require_document, require_psutil
from peer_tools.milestones import FILE_VARIABLE
from peer_tools.report import here, publish
from peer_tools.tiny import TINY, words
from sweeps.reproduction.tables import Cells

TOOLS = Path(__file__).with_name("peer_tools")
LAST = "last trial trained"
LEAST_IMPORT_S = 0.05
IMPORT_LINE = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \|( *)(\S+)")


@dataclass(frozen=True, kw_only=True)
class StartupSettings:
    """Measure the milestones of a sweep, from the command to its end, and its import times."""

    trials: int = 30
    repeats: int = 3
    """Number of sweeps; the milestones are those of the fastest one."""
    processes: int = 2
    write: Path | None = None
    """Document whose tables are replaced, such as docs/performance.md."""


@dataclass(frozen=True, kw_only=True)
class Milestone:
    """A milestone that a sweep has reached."""

    name: str
    at_s: float
    """Seconds since the command."""
    cpu_s: float | None = None
    """CPU seconds of the process that reached it; None if unknown."""


def main() -> int:
    """Run sweeps and print the tables; returns the exit code."""
    settings = parse(StartupSettings, sys.argv[1:], prog="benchmarks/startup.py")
    require_psutil()
    require_at_least(1, settings, "trials", "repeats", "processes")
    require_document(settings.write, ("startup", "imports"))
    runs = []
    for _ in range(settings.repeats):
        with tempfile.TemporaryDirectory() as folder:
            runs.append(_run(settings, Path(folder)))
    tables = {"startup": milestone_cells(runs), "imports": import_cells(_imported())}
    head = f"{here()}; {settings.trials} trials, the fastest of {settings.repeats} runs"
    publish(tables, settings.write, head)
    return 0


def _run(settings: StartupSettings, folder: Path) -> list[Milestone]:
    options = {
        **TINY,
        "space": TOOLS / "milestone_space.py",
        "trials": settings.trials,
        "concurrency": settings.processes,
    }
    file = folder / "milestones"
    start = time.time()
    done = subprocess.run(
        [sys.executable, "-m", "peer_tools.milestone_driver", *words(options)],
        cwd=folder,
        env={
            **os.environ,
            FILE_VARIABLE: str(file),
            "PYTHONPATH": str(TOOLS.parent),
            "RAY_worker_niceness": "0",
        },
        capture_output=True,
        text=True,
    )
    end = time.time()
    if done.returncode != 0:
        raise UserError.of(
            "startup.sweep-failed", output=done.stderr.strip() or done.stdout[-500:]
        )
    notes = [json.loads(line) for line in file.read_text().splitlines()]
    gone = Milestone(name="process gone", at_s=end - start)
    return [*milestones(notes, start), gone]


def milestones(notes: Sequence[dict[str, Any]], start: float) -> list[Milestone]:
    """Return milestones by time: the first record of each name, but the last one of `LAST`."""
    kept: dict[str, dict[str, Any]] = {}
    for note in sorted(notes, key=lambda note: note["time"]):
        if note["name"] == LAST:
            kept[LAST] = note
        else:
            kept.setdefault(note["name"], note)
    return [
        Milestone(name=note["name"], at_s=note["time"] - start, cpu_s=note["cpu_s"])
        for note in sorted(kept.values(), key=lambda note: note["time"])
    ]


def milestone_cells(runs: Sequence[Sequence[Milestone]]) -> Cells:
    """Make the table of the fastest run; of one run only, so that the times add up."""
    fastest = min(runs, key=lambda run: run[-1].at_s)
    rows = []
    at_s = 0.0
    for milestone in fastest:
        cpu = "" if milestone.cpu_s is None else f"{milestone.cpu_s:.2f}"
        rows.append((milestone.name, f"{milestone.at_s - at_s:.2f}", f"{milestone.at_s:.2f}", cpu))
        at_s = milestone.at_s
    return Cells(
        title=f"milestones, the fastest of {len(runs)} runs",
        head=("milestone", "after the one before, s", "after the command, s", "process's CPU, s"),
        rows=tuple(rows),
    )


def _imported() -> str:
    """Return the output of `-X importtime` for the modules of a sweep's driver."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import sweeps.run, sweeps.launch"],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stderr


def import_times(report: str) -> dict[str, float]:
    """Return the seconds that each top-level library's own modules take, without their imports."""
    own: defaultdict[str, float] = defaultdict(float)
    for line in report.splitlines():
        if found := IMPORT_LINE.match(line):
            own[found[4].partition(".")[0]] += int(found[1]) / 1e6
    return dict(own)


def import_cells(report: str) -> Cells:
    """Make the table of the slowest libraries and of the total."""
    own = import_times(report)
    longest = sorted(own.items(), key=lambda item: -item[1])
    rows = [(name, f"{spent:.2f}") for name, spent in longest if spent >= LEAST_IMPORT_S]
    return Cells(
        title="imports of the driver",
        head=("library", "own modules, s"),
        rows=(*rows, ("all", f"{sum(own.values()):.2f}")),
    )


if __name__ == "__main__":
    run_program(main)
