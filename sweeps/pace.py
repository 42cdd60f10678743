"""How long the rest of a sweep takes, by the epochs that its trials have trained."""

import time

from foldsweep.names import GRID_ORIGIN
from sweeps.lifecycle import Lifecycle, Running


class Pace:
    """Counts the epochs that processes have trained since this began, and how long they took.

    Trials that end first are short ones, so how many have ended says little of those to come:
    epochs are counted. A trial in training counts with what early stopping leaves on average.

    Args:
        lifecycle: The sweep's trials.
    """

    def __init__(self, lifecycle: Lifecycle):
        self.lifecycle = lifecycle
        self._first: int | None = None
        self._seen_at = time.monotonic()
        self._passed_s = self._busy_s = 0.0

    def tick(self) -> None:
        """Take in the time since the last call, in which as many trials trained as do now.

        It counts from the first report on: what is before it, the start of processes, ends.
        """
        now = time.monotonic()
        if self._first is None and self.lifecycle.tally.epochs_here:
            self._first = self.lifecycle.tally.epochs_here
        elif self._first is not None:
            self._passed_s += now - self._seen_at
            self._busy_s += (now - self._seen_at) * self.lifecycle.num_training
        self._seen_at = now

    def seconds_left(self) -> float | None:
        """Seconds to the end at the pace so far; None before anything is known of it."""
        life = self.lifecycle
        left = life.ledger.trials_left
        known = life.tally.ended_here + len(life.paused) + len(life.running)
        if not left:
            return 0.0
        trained = life.tally.epochs_here - (self._first or 0)
        if self._first is None or not trained or not known:
            return None
        wholes = [self._whole(running) for running in life.running.values()]
        mean = (life.tally.epochs_of_ended + sum(life.paused.values()) + sum(wholes)) / known
        rests = [w - r.epoch for w, r in zip(wholes, life.running.values(), strict=True)]
        rest = sum(rests) + (left - len(rests)) * mean
        # by all processes together; at the end, by the one that has the most to do
        return max(self._passed_s * rest, self._busy_s * max(rests, default=0.0)) / trained

    def _whole(self, running: Running) -> float:
        """Epochs that a trial in training will have, on average."""
        if running.asked.origin not in (None, GRID_ORIGIN):
            return running.epochs
        return self.lifecycle.ledger.mean_epochs(running.epochs, running.epoch)
