"""Seeds: every random number derives from a few integers, so none depends on place or time."""

from enum import IntEnum

import numpy as np


class Stream(IntEnum):
    """Purpose of a seed that derives from a sweep's seed: the second part of each such seed.

    Each docstring names the further parts after a colon.
    """

    MEMBER = 0
    """A fold of a trial: trial number, fold."""
    SAMPLER = 1
    """A sampler's choice: trial number, and the parameter if it is drawn independently."""
    ROUND = 2
    """A round of an evaluation: its index."""
    ROUND_DATA = 3
    """The fresh rows of a round: its index."""
    HELD_BACK = 4
    """Which training rows a round leaves out: its index."""
    MODEL = 5
    """The training of a kept model on all training rows."""
    FINALS = 6
    """A repeat of the finals, its folds, initialisations and fresh rows: its index."""
    BOOTSTRAP = 7
    """Rows that the bootstrap of a sweep's trials draws."""
    REDRAW = 8
    """A sampler's choice in place of a configuration that may not be trained: attempt, then as
    `SAMPLER`."""


def derive_seed(*parts: int) -> int:
    """A 63-bit seed that depends on all `parts` and their order.

    Streams of different parts are independent for all practical purposes; the same parts give the
    same seed on every machine. Built on `numpy.random.SeedSequence`.

    Args:
        parts: Integers from 0 to 2**64 - 1, for example sweep seed, trial number, fold, epoch.
    """
    # SeedSequence drops trailing zeros and splits large integers: hence fixed widths, and a length
    entropy = [len(parts), *(word for part in parts for word in divmod(part, 2**32))]
    words = np.random.SeedSequence(entropy).generate_state(2, np.uint32)
    return int(words[0]) << 31 | int(words[1]) >> 1
