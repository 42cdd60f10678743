"""Time left of a sweep, estimated from the epochs that its trials have trained."""

import time

from foldsweep.names import GRID_ORIGIN
from sweeps.lifecycle import Lifecycle, Running


class Pace:
    """Counts the epochs that processes have trained since this object was made, and their time.

    It counts epochs, not trials: the first trials to end are short ones, so the number of ended
    trials says little about the trials to come. A trial in training counts with its expected
    number of epochs under early stopping.

    Args:
        lifecycle: The sweep's trials.
    """

    def __init__(self, lifecycle: Lifecycle):
        self.lifecycle = lifecycle
        self._first: int | None = None
        self._seen_at = time.monotonic()
        self._passed_s = self._busy_s = 0.0

    def tick(self) -> None:
        """Add the time since the last call, as if the trials now in training had trained in it.

        Time counts from the first report on, when the one-off start of processes is over.
        """
        now = time.monotonic()
        if self._first is None and self.lifecycle.tally.epochs_here:
            self._first = self.lifecycle.tally.epochs_here
        elif self._first is not None:
            self._passed_s += now - self._seen_at
            self._busy_s += (now - self._seen_at) * self.lifecycle.num_training
        self._seen_at = now

    def seconds_left(self) -> float | None:
        """Seconds to the end at the pace so far; None until the pace is known."""
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
        # all processes share the rest; near the end, the longest trial in training decides
        return max(self._passed_s * rest, self._busy_s * max(rests, default=0.0)) / trained

    def _whole(self, running: Running) -> float:
        """Expected total number of epochs of a trial in training."""
        if running.asked.origin not in (None, GRID_ORIGIN):
            return running.epochs
        return self.lifecycle.ledger.mean_epochs(running.epochs, running.epoch)
