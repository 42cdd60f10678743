"""The checkpoints of trials that do not train: which are kept, and when others are deleted."""

import math
import time
from bisect import insort

from sweeps.outages import STORAGE, Outages
from trainables.checkpoints import delete_checkpoint
from trainables.stores import STORE_ERRORS, store_says

STORE_RESTS_S, STORE_SHARE = 30.0, 9.0
"""How long a store that took no deletion is left alone: at least so many times what it took."""
MOST_BYTES = 4 * 2**30
"""Checkpoints of paused trials that are kept, in all."""


class Saved:
    """Deletes checkpoints of trials that are over, and of paused ones when there are too many.

    A paused trial whose checkpoint is gone is trained again from its first epoch if it is
    promoted, to the same bits. Those go first that are least likely to be.

    Args:
        folder: Where trials are checkpointed.
        outages: Knows whether that is away.
    """

    def __init__(self, folder: str, outages: Outages):
        self.folder = folder
        self.outages = outages
        self.left_over: list[int] = []
        """Trials whose checkpoints could not be deleted yet."""
        self._paused: list[tuple[int, float, int]] = []
        self._bytes: dict[int, int] = {}
        self._unsaved: set[int] = set()
        self._rests_until = -math.inf

    def note_unsaved(self, number: int, unsaved: tuple[float, str] | None) -> None:
        """Show that checkpoints cannot be saved, as long as any trial says so.

        Args:
            number: Number of the trial.
            unsaved: For how many seconds it could not be saved, and why; None if it could.
        """
        known = number in self._unsaved
        self._unsaved.discard(number)
        if unsaved is not None:
            self._unsaved.add(number)
            self.outages.note(STORAGE, *unsaved)
        elif known and not self._unsaved:
            self.outages.over(STORAGE)

    def pause(self, number: int, epoch: int, score: float, size: int) -> None:
        """Keep the checkpoint of a trial that is paused, in place of worse ones.

        Args:
            number: Number of the trial.
            epoch: Epochs that it has trained.
            score: What it came to, higher is better.
            size: Bytes of its checkpoint.
        """
        self._unsaved.discard(number)
        insort(self._paused, (epoch, score, number))
        self._bytes[number] = size
        while sum(self._bytes.values()) > MOST_BYTES:
            _, _, worst = self._paused.pop(0)
            del self._bytes[worst]
            self.delete(worst)

    def resume(self, number: int) -> None:
        """Keep the checkpoint of a trial that is in training."""
        if self._bytes.pop(number, None) is not None:
            self._paused = [paused for paused in self._paused if paused[2] != number]

    def delete(self, number: int) -> None:
        """Delete the checkpoint of a trial, and those that could not be deleted before.

        A store that is away is left alone for a while: each call to it takes time of all trials.
        """
        self._unsaved.discard(number)
        self.left_over.append(number)
        if time.monotonic() >= self._rests_until:
            self.delete_left_over()

    def delete_left_over(self) -> None:
        """Delete checkpoints that could not be deleted before, as far as the store allows."""
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
