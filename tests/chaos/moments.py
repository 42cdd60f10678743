"""The moments at which a sweep is killed: drawn by a seed, waited for in what the sweep writes."""

import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.processes import descendants, does, find

WATCHED = {"study.journal": "op_code", "spool.jsonl": "op"}
"""Files of a space that grow by a JSON object a line, and the key that says what the line is."""
START_S = 8.0
"""The start of a sweep takes about so long; nothing is written in it that could be waited for."""
LATER_S = 0.3
MOST_OTHERS = 40
"""Lines, those of some trials, after which one that may never come is waited for no longer."""
POLL_S = 0.0005
"""The driver takes some milliseconds from a report to the decision on it."""
LOOK_AGAIN_S = 0.1

Line = tuple[str, str]
"""A file of `WATCHED`, and what a line of it is."""


@dataclass(frozen=True, kw_only=True)
class Moment:
    """When to kill: after a line, then after some seconds."""

    line: Line | None
    """What is waited for first; None for nothing."""
    times: int = 1
    """How often that must come."""
    later_s: float = 0.0

    def shown(self) -> str:
        """For a log."""
        what = "start" if self.line is None else f"{self.times} x {self.line[0]} {self.line[1]}"
        return f"{what} + {self.later_s:.2f} s"


def draw_moment(kind: str, rng: random.Random, lines: Sequence[Line]) -> Moment:
    """A moment for a kind of kill.

    Kinds of lines are equally likely, however rare they are: the few between a report and the
    decision on it are worth more than the many that hold a parameter.

    Args:
        kind: What is killed.
        rng: Draws.
        lines: Every kind of line that a sweep writes.
    """
    later_s = rng.choice((0.0, rng.uniform(0, LATER_S)))
    if kind not in ("train", "reset") and rng.random() < 1 / 6:
        return Moment(line=None, later_s=rng.uniform(0, START_S))
    return Moment(line=rng.choice(lines), times=rng.randint(1, 3), later_s=later_s)


def lines_in(folder: Path) -> list[Line]:
    """Every kind of line that the sweep of a space has written."""
    return sorted(Lines(folder, from_start=True).new())


class Lines:
    """Counts the lines that are added to a sweep's files."""

    def __init__(self, folder: Path, *, from_start: bool = False):
        self._paths = {folder / name: key for name, key in WATCHED.items()}
        self._read = {path: 0 if from_start else _size(path) for path in self._paths}

    def new(self) -> Counter[Line]:
        """Those that came since the last call, by kind."""
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
    """Wait for a moment; whether the program still lives then."""
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
    """The process to kill; one of a trial as soon as it trains or builds its next network.

    None where there is none: the program has ended, or has not come so far.
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
    """Processes of trials."""
    return [pid for pid, text in descendants(program).items() if text.startswith("ray::")]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
