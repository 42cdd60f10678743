"""Jobs for a program with a helper, in which both meet once at a named pipe that neither passes
alone, whoever takes which job."""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from foldsweep.errors import UserError

Report = Callable[[int], None]
_met: set[Path] = set()
"""Pipes at which this process has met the other."""


class Unreadable(UserError):
    """Cannot be unpickled: it takes two arguments and keeps one."""

    def __init__(self, what: str, other: str):
        super().__init__(what)


@dataclass(frozen=True)
class Job:
    """Gives its number and the process that has done it."""

    number: int
    program: int
    """The process that starts helpers."""
    steps: int = 4

    @property
    def is_helped(self) -> bool:
        """Whether it is a helper that does it."""
        return os.getpid() != self.program

    def run(self, after_step: Report) -> tuple[int, int]:
        for step in range(1, self.steps + 1):
            after_step(step)
        return self.number, os.getpid()


@dataclass(frozen=True)
class Meets(Job):
    """Waits for the other process; what the helper has told is kept in a file beside the pipe."""

    pipe: Path = Path()

    def run(self, after_step: Report) -> tuple[int, int]:
        done = super().run(after_step)
        self.meet(self.pipe)
        return done

    def meet(self, pipe: Path) -> None:
        """Wait there, once."""
        if pipe in _met:
            return
        _met.add(pipe)
        if self.is_helped:
            pipe.write_text(str(os.getpid()))
        else:
            pipe.with_name("helper").write_text(pipe.read_text())


@dataclass(frozen=True)
class MeetsTwice(Meets):
    """Reports steps while both are at work."""

    second: Path = Path()

    def run(self, after_step: Report) -> tuple[int, int]:
        done = super().run(after_step)
        after_step(self.steps)
        self.meet(self.second)
        return done


@dataclass(frozen=True)
class Dies(Meets):
    """Ends the helper; the program does it well."""

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
    """Cannot be done, whoever does it."""

    def run(self, after_step: Report) -> tuple[int, int]:
        super().run(after_step)
        raise UserError(f"job {self.number} is wrong")


@dataclass(frozen=True)
class NeverEnds(Meets):
    """Ctrl-C in the program once the helper is in the middle of its job."""

    def run(self, after_step: Report) -> tuple[int, int]:
        super().run(after_step)
        if not self.is_helped:
            raise KeyboardInterrupt
        signal.pause()
        raise AssertionError("nobody sends a signal that is taken")
