"""Every random number derives from a few integers, so nothing depends on where or when it runs."""

import numpy as np


def derive_seed(*parts: int) -> int:
    """A 63-bit seed that depends on all `parts` and their order.

    Streams of different parts are independent for all practical purposes; the same parts give the
    same seed on every machine. Built on `numpy.random.SeedSequence`.

    Args:
        parts: Integers from 0 to 2**64 - 1, for example sweep seed, trial number, fold, epoch.
    """
    # SeedSequence drops trailing zeros and splits large integers: give it fixed widths and a length
    entropy = [len(parts), *(word for part in parts for word in divmod(part, 2**32))]
    words = np.random.SeedSequence(entropy).generate_state(2, np.uint32)
    return int(words[0]) << 31 | int(words[1]) >> 1
