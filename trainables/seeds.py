"""Every random number derives from a few integers, so nothing depends on where or when it runs."""

import numpy as np


def derive_seed(*parts: int) -> int:
    """A 63-bit seed that depends on all `parts` and their order.

    Streams of different parts are independent for all practical purposes; the same parts give the
    same seed on every machine. Built on `numpy.random.SeedSequence`.

    Args:
        parts: Non-negative integers, for example sweep seed, trial number, fold, epoch.
    """
    words = np.random.SeedSequence(parts).generate_state(2, np.uint32)
    return int(words[0]) << 31 | int(words[1]) >> 1
