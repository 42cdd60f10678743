"""Random moments of kills, each triggered by what the sweep writes to its files."""

import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.processes import descendants, does, find

WATCHED = {"study.journal": "op_code", "spool.jsonl": "op"}
"""Files of a space with one JSON object per line, and the key that names the kind of line."""
START_S = 8.0
"""Approximate duration of a sweep's start in seconds; no lines are written that a kill can
await."""
LATER_S = 0.3
MOST_OTHERS = 40
"""Number of other lines (a few trials) after which waiting for a line ends, as it may never
come."""
POLL_S = 0.0005
"""Poll interval in seconds; the driver takes some milliseconds from a report to its decision."""
LOOK_AGAIN_S = 0.1

Line = tuple[str, str]
"""Name of a file in `WATCHED`, and the kind of one of its lines."""


@dataclass(frozen=True, kw_only=True)
class Moment:
    """Moment of a kill: after a certain line, then after a delay in seconds."""

    line: Line | None
    """Line to wait for first; None for no line."""
    times: int = 1
    """Number of times that the line must occur."""
    later_s: float = 0.0

    def shown(self) -> str:
        """Text for a log."""
        what = "start" if self.line is None else f"{self.times} x {self.line[0]} {self.line[1]}"
        return f"{what} + {self.later_s:.2f} s"


def draw_moment(kind: str, rng: random.Random, lines: Sequence[Line]) -> Moment:
    """Draw the moment for one kill.

    Kinds of lines are drawn with equal probability, however rare they are: the few lines between a
    report and the decision on it matter more than the many that hold a parameter.

    Args:
        kind: Kind of process to kill.
        rng: Random generator.
        lines: Every kind of line that a sweep writes.
    """
    later_s = rng.choice((0.0, rng.uniform(0, LATER_S)))
    if kind not in ("train", "reset") and rng.random() < 1 / 6:
        return Moment(line=None, later_s=rng.uniform(0, START_S))
    return Moment(line=rng.choice(lines), times=rng.randint(1, 3), later_s=later_s)


def lines_in(folder: Path) -> list[Line]:
    """Return every kind of line that the sweep of one space has written."""
    return sorted(Lines(folder, from_start=True).new())


class Lines:
    """Counter of the lines that are added to a sweep's files."""

    def __init__(self, folder: Path, *, from_start: bool = False):
        self._paths = {folder / name: key for name, key in WATCHED.items()}
        self._read = {path: 0 if from_start else _size(path) for path in self._paths}

    def new(self) -> Counter[Line]:
        """Count the lines added since the last call, by kind."""
        return Counter(line for path, key in self._paths.items() for line in self._of(path, key))

    def _of(self, path: Path, key: str) -> Iterator[Line]:
        if _size(path) <= self._read[path]:
            return
        with path.open("rb") as file:
            file.seek(self._read[path])
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._read[path] += len(line)
                yield path.name, str(json.loads(line).get(key))


def wait_for(moment: Moment, folder: Path, lives: Callable[[], bool]) -> bool:
    """Wait for a moment; return whether the program is still running."""
    lines, left, others = Lines(folder), moment.times, 0
    while moment.line is not None and left > 0 and others < MOST_OTHERS and lives():
        new = lines.new()
        left -= new[moment.line]
        others += new.total()
        time.sleep(POLL_S)
    end = time.monotonic() + moment.later_s
    while time.monotonic() < end and lives():
        time.sleep(POLL_S)
    return lives()


def catch(kind: str, program: int, lives: Callable[[], bool], marks: Path) -> int | None:
    """Return the process to kill; one of a trial as soon as it trains or builds its next network.

    None if there is no such process: the program has ended or has not started it yet.
    """
    if kind not in ("train", "reset"):
        return find(kind, program)
    while lives():
        workers, look_again = find_workers(program), time.monotonic() + LOOK_AGAIN_S
        while time.monotonic() < look_again and lives():
            found = next((pid for pid in workers if does(pid, kind, marks)), None)
            if found is not None:
                return found
            time.sleep(POLL_S)
    return None


def find_workers(program: int) -> list[int]:
    """Return the processes of trials."""
    return [pid for pid, text in descendants(program).items() if text.startswith("ray::")]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
