"""Attempts to train a trial: the attempt in progress, why it failed, whether it is retried."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from foldsweep import names
from foldsweep.files import write_whole
from foldsweep.texts import text
from sweeps.ledger import Asked

MOST_LOST = 10
"""Number of lost machines after which a trial fails. A loss is not the trial's fault, unless the
trial itself brings down one machine after another. A long trial on preemptible machines resumes
from its checkpoint each time."""


@dataclass(kw_only=True)
class Running:
    """A trial in training."""

    asked: Asked
    epochs: int = 0
    """Epochs of the whole trial."""
    epoch: int = 0
    score: float | None = None
    """Objective after `epoch`, a mean over folds; None if unknown."""
    node: str = ""
    """Host name and address of its node; empty until known."""
    since: float = 0.0
    """Time when the trial was given a process, by the monotonic clock."""
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
    """Records why trials failed, and decides which of them are retried.

    Args:
        error_folder: Local folder of the tracebacks of trials that crashed.
        max_failures: Number of times that a crashed trial is retried.
    """

    def __init__(self, error_folder: Path, max_failures: int):
        self.error_folder = error_folder
        self.max_failures = max_failures
        self.crashes: Counter[int] = Counter()
        self.losses: Counter[int] = Counter()
        self.signatures: dict[int, str] = {}
        """Signature of a trial's last failure, by its number, see `trainables.refusals`."""
        self.last_error: str | None = None
        self._errors: dict[int, str] = {}

    @property
    def remaining_error(self) -> str | None:
        """The last error of a trial that has not ended well or paused since; None if none."""
        return next(reversed(self._errors.values()), None)

    def note_crash(
        self, running: Running, error: str, traceback: str = "", signature: str | None = None
    ) -> None:
        """Record why a trial failed, unless its process was ended by the time limit.

        Args:
            running: The trial.
            error: The cause, in one line.
            traceback: Written to a file in the error folder, which the line names; empty if none.
            signature: Signature by which the next attempt recognises the same failure, or None.
        """
        if running.failure == names.TIMED_OUT:
            return
        number = running.asked.number
        if traceback:
            self.error_folder.mkdir(parents=True, exist_ok=True)
            running.traceback = self.error_folder / f"trial_{number:05d}.txt"
            write_whole(running.traceback, traceback)
            file = _from_here(running.traceback)
            error = text("attempts.traceback", error=error, file=file)
        if signature is not None:
            self.signatures[number] = signature
        running.error = error
        self.last_error = text("attempts.of-trial", trial=number, error=error)
        self._errors.pop(number, None)
        self._errors[number] = self.last_error

    def note_timeout(self, running: Running, seconds: float) -> None:
        """Record that a trial exceeded its time limit, in seconds."""
        self.note_crash(running, text("attempts.timed-out", seconds=f"{seconds:g}"))
        running.failure = names.TIMED_OUT

    def note_loss(self, running: Running, what: str) -> None:
        """Record what happened to the machine of a trial."""
        running.machine_lost = running.failure != names.TIMED_OUT
        again = self.losses[running.asked.number] + 1 < MOST_LOST
        said = text("attempts.lost-once-more", what=what)
        if not again:
            said = text("attempts.lost-too-often", what=what, times=MOST_LOST)
        self.note_crash(running, said)

    def forget_error(self, number: int) -> None:
        """Forget the error of a trial that has ended well or is paused at a rung."""
        self._errors.pop(number, None)

    def is_tried_again(self, running: Running) -> bool:
        """Count a failure; returns whether the trial is retried.

        A trial that timed out is not retried, since it would time out again. A trial that lost its
        machine did not crash, and is retried until it has lost `MOST_LOST` machines.
        """
        number = running.asked.number
        if running.machine_lost:
            self.losses[number] += 1
            return self.losses[number] < MOST_LOST
        self.crashes[number] += 1
        timed_out = running.failure == names.TIMED_OUT
        return not timed_out and self.crashes[number] <= self.max_failures


def _from_here(path: Path) -> Path:
    """The path, relative to the current folder if inside it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
