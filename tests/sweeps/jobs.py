"""Jobs for a program with a helper process, which meet once at a named pipe.

Neither process can pass the pipe alone, whichever of them runs which job.
"""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from foldsweep.errors import UserError

Report = Callable[[int], None]
_met: set[Path] = set()
"""Pipes at which this process has met the other one."""


class Unreadable(UserError):
    """Exception that cannot be unpickled: it takes two arguments and keeps one."""

    def __init__(self, what: str, other: str):
        super().__init__(what)


@dataclass(frozen=True)
class Job:
    """Job that returns its number and the process that ran it."""

    number: int
    program: int
    """Process id of the program that starts helpers."""
    steps: int = 4

    @property
    def is_helped(self) -> bool:
        """Whether a helper runs the job."""
        return os.getpid() != self.program

    def run(self, after_step: Report) -> tuple[int, int]:
        for step in range(1, self.steps + 1):
            after_step(step)
        return self.number, os.getpid()


@dataclass(frozen=True)
class Meets(Job):
    """Waits for the other process; a file beside the pipe records the helper's process id."""

    pipe: Path = Path()

    def run(self, after_step: Report) -> tuple[int, int]:
        done = super().run(after_step)
        self.meet(self.pipe)
        return done

    def meet(self, pipe: Path) -> None:
        """Wait at the pipe, unless this process has met the other one there."""
        if pipe in _met:
            return
        _met.add(pipe)
        if self.is_helped:
            pipe.write_text(str(os.getpid()))
        else:
            pipe.with_name("helper").write_text(pipe.read_text())


@dataclass(frozen=True)
class MeetsTwice(Meets):
    """Reports steps while both processes are working."""

    second: Path = Path()

    def run(self, after_step: Report) -> tuple[int, int]:
        done = super().run(after_step)
        after_step(self.steps)
        self.meet(self.second)
        return done


@dataclass(frozen=True)
class Dies(Meets):
    """Ends or fails the helper; the program completes the job."""

    how: str = "killed"

    def run(self, after_step: Report) -> tuple[int, int]:
        done = super().run(after_step)
        if self.is_helped and self.how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.is_helped and self.how == "ends":
            os._exit(3)
        elif self.is_helped and self.how == "fails":
            raise MemoryError("no room")
        elif self.is_helped:
            raise Unreadable("what", "else")
        return done


@dataclass(frozen=True)
class Refuses(Meets):
    """Fails in the program and in the helper."""

    def run(self, after_step: Report) -> tuple[int, int]:
        super().run(after_step)
        raise UserError(f"job {self.number} is wrong")


@dataclass(frozen=True)
class NeverEnds(Meets):
    """Raises Ctrl-C in the program while the helper is in the middle of its job."""

    def run(self, after_step: Report) -> tuple[int, int]:
        super().run(after_step)
        if not self.is_helped:
            raise KeyboardInterrupt
        signal.pause()
        raise AssertionError("nobody sends a signal that is taken")
