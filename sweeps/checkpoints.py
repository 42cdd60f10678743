"""Checkpoints of paused and ended trials: which are kept, and when the others are deleted."""

import math
import time
from bisect import insort

from sweeps.outages import STORAGE, Outages
from trainables.checkpoints import delete_checkpoint
from trainables.stores import STORE_ERRORS, store_says

STORE_RESTS_S, STORE_SHARE = 30.0, 9.0
"""Least pause after a failed deletion, in seconds and in multiples of the time that it took."""
MOST_BYTES = 4 * 2**30
"""Total size of the checkpoints of paused trials that are kept."""


class Saved:
    """Deletes checkpoints of ended trials, and of paused trials if they take too much space.

    A promoted trial without a checkpoint is trained again from its first epoch, with bit-identical
    results. So the checkpoints of the worst trials at the lowest rung are deleted first.

    Args:
        folder: Folder or URI of the checkpoints.
        outages: Notes outages of the storage.
    """

    def __init__(self, folder: str, outages: Outages):
        self.folder = folder
        self.outages = outages
        self.left_over: list[int] = []
        """Trials whose checkpoints are still to be deleted."""
        self._paused: list[tuple[int, float, int]] = []
        self._bytes: dict[int, int] = {}
        self._unsaved: set[int] = set()
        self._rests_until = -math.inf

    def note_unsaved(self, number: int, unsaved: tuple[float, str] | None) -> None:
        """Note an outage of the storage, which lasts as long as any trial cannot save.

        Args:
            number: Number of the trial.
            unsaved: Seconds since it could last be saved, and the error; None if it was saved.
        """
        known = number in self._unsaved
        self._unsaved.discard(number)
        if unsaved is not None:
            self._unsaved.add(number)
            self.outages.note(STORAGE, *unsaved)
        elif known and not self._unsaved:
            self.outages.over(STORAGE)

    def pause(self, number: int, epoch: int, score: float, size: int) -> None:
        """Keep the checkpoint of a paused trial; delete the worst beyond `MOST_BYTES` in total.

        Args:
            number: Number of the trial.
            epoch: Number of epochs that it has trained.
            score: Its objective, higher is better.
            size: Size of its checkpoint in bytes.
        """
        self._unsaved.discard(number)
        insort(self._paused, (epoch, score, number))
        self._bytes[number] = size
        while sum(self._bytes.values()) > MOST_BYTES:
            _, _, worst = self._paused.pop(0)
            del self._bytes[worst]
            self.delete(worst)

    def resume(self, number: int) -> None:
        """Keep the checkpoint of a paused trial that resumes, outside the limit `MOST_BYTES`."""
        if self._bytes.pop(number, None) is not None:
            self._paused = [paused for paused in self._paused if paused[2] != number]

    def delete(self, number: int) -> None:
        """Delete the checkpoint of a trial, and checkpoints that could not be deleted before.

        After an error nothing is deleted for a while, since each call to an unreachable store
        delays all trials.
        """
        self._unsaved.discard(number)
        self.left_over.append(number)
        if time.monotonic() >= self._rests_until:
            self.delete_left_over()

    def delete_left_over(self) -> None:
        """Delete the checkpoints of `left_over`, up to the first error."""
        began = time.monotonic()
        try:
            while self.left_over:
                delete_checkpoint(self.folder, self.left_over[0])
                del self.left_over[0]
        except STORE_ERRORS as error:
            now = time.monotonic()
            self._rests_until = now + max(STORE_RESTS_S, STORE_SHARE * (now - began))
            self.outages.note(STORAGE, 0.0, store_says(error))
        else:
            if not self._unsaved:
                self.outages.over(STORAGE)
