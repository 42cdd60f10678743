"""Every random number derives from a few integers, so nothing depends on where or when it runs."""

from enum import IntEnum

import numpy as np


class Stream(IntEnum):
    """What a seed derived from a sweep's seed is for; the second part of each such seed."""

    MEMBER = 0
    """A fold of a trial: trial number, fold."""
    SAMPLER = 1
    """A sampler's choice: trial number, and the parameter where it is drawn by itself."""
    ROUND = 2
    """A round of an evaluation: its index."""
    ROUND_DATA = 3
    """The fresh rows of a round: its index."""
    HELD_BACK = 4
    """Which training rows a round leaves out: its index."""
    MODEL = 5
    """The one training of a model that is kept."""
    FINALS = 6
    """A repeat of the finals, its folds, initialisations and fresh rows: its index."""
    BOOTSTRAP = 7
    """The rows that samples of the bootstrap of a sweep's trials draw."""
    REDRAW = 8
    """A sampler's choice in place of one that may not be trained: attempt, then as `SAMPLER`."""


def derive_seed(*parts: int) -> int:
    """A 63-bit seed that depends on all `parts` and their order.

    Streams of different parts are independent for all practical purposes; the same parts give the
    same seed on every machine. Built on `numpy.random.SeedSequence`.

    Args:
        parts: Integers from 0 to 2**64 - 1, for example sweep seed, trial number, fold, epoch.
    """
    # SeedSequence drops trailing zeros and splits large integers: hence fixed widths and a length
    entropy = [len(parts), *(word for part in parts for word in divmod(part, 2**32))]
    words = np.random.SeedSequence(entropy).generate_state(2, np.uint32)
    return int(words[0]) << 31 | int(words[1]) >> 1
