"""Attempts to train trials: the one in progress, why it failed, and whether there is another."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from foldsweep import names
from foldsweep.files import write_whole
from sweeps.ledger import Asked

MOST_LOST = 10
"""Machines that a trial may lose. None is the trial's fault, unless the trial is what brings them
down, one after another. A long trial on machines that are taken away resumes from its checkpoint
each time."""


@dataclass(kw_only=True)
class Running:
    """A trial in training."""

    asked: Asked
    epochs: int = 0
    """Of the whole trial."""
    epoch: int = 0
    score: float | None = None
    """The objective after that epoch, where it is known; a mean over folds."""
    node: str = ""
    """Host name and address, once known."""
    since: float = 0.0
    """When it got its process, by the monotonic clock."""
    pretrain_epochs: int = 0
    best: dict[str, float] = field(default_factory=dict)
    stopped: bool = False
    has_process: bool = False
    machine_lost: bool = False
    error: str = "unknown error"
    failure: str = names.CRASHED
    traceback: Path | None = None
    held_out: bytes | None = None


class Attempts:
    """Notes why trials failed, and decides which of them are tried again.

    Args:
        error_folder: Local folder of the tracebacks of trials that crashed.
        max_failures: How often a trial that crashed is tried again.
    """

    def __init__(self, error_folder: Path, max_failures: int):
        self.error_folder = error_folder
        self.max_failures = max_failures
        self.crashes: Counter[int] = Counter()
        self.losses: Counter[int] = Counter()
        self.signatures: dict[int, str] = {}
        """The last failure of a trial that may be tried again, see `trainables.refusals`."""
        self.last_error: str | None = None
        self._errors: dict[int, str] = {}

    @property
    def remaining_error(self) -> str | None:
        """The last error of a trial that has not ended well since."""
        return next(reversed(self._errors.values()), None)

    def note_crash(
        self, running: Running, error: str, traceback: str = "", signature: str | None = None
    ) -> None:
        """Note why a trial failed, unless its process was ended for taking too long.

        Args:
            running: The trial.
            error: The cause in a line.
            traceback: Kept in a file of the sweep's folder, which the line names.
            signature: By which the next attempt recognises the same failure; None if it has none.
        """
        if running.failure == names.TIMED_OUT:
            return
        number = running.asked.number
        if traceback:
            self.error_folder.mkdir(parents=True, exist_ok=True)
            running.traceback = self.error_folder / f"trial_{number:05d}.txt"
            write_whole(running.traceback, traceback)
            error = f"{error}; traceback in {_from_here(running.traceback)}"
        if signature is not None:
            self.signatures[number] = signature
        running.error = error
        self.last_error = f"trial {number}: {error}"
        self._errors.pop(number, None)
        self._errors[number] = self.last_error

    def note_timeout(self, running: Running, seconds: float) -> None:
        """Note that a trial took longer than it may."""
        self.note_crash(running, f"ended after {seconds:g} s (--trial-timeout)")
        running.failure = names.TIMED_OUT

    def note_loss(self, running: Running, what: str) -> None:
        """Note what happened to the machine of a trial."""
        running.machine_lost = running.failure != names.TIMED_OUT
        again = self.losses[running.asked.number] + 1 < MOST_LOST
        more = "; it is tried again" if again else f", {MOST_LOST} times"
        self.note_crash(running, f"{what}{more}")

    def forget_error(self, number: int) -> None:
        """Note that a trial has ended well, or waits at a rung."""
        self._errors.pop(number, None)

    def is_tried_again(self, running: Running) -> bool:
        """Count a failure; whether the trial is tried again.

        A trial that took longer than it may would do so again. A trial that lost its machine did
        not crash, and is tried again until it has lost `MOST_LOST`.
        """
        number = running.asked.number
        if running.machine_lost:
            self.losses[number] += 1
            return self.losses[number] < MOST_LOST
        self.crashes[number] += 1
        timed_out = running.failure == names.TIMED_OUT
        return not timed_out and self.crashes[number] <= self.max_failures


def _from_here(path: Path) -> Path:
    """The path as it may be typed in the current folder."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
