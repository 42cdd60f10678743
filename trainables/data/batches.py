"""Which rows make a batch."""

from collections.abc import Iterator


def batches(size: int, batch_size: int) -> Iterator[slice]:
    """Slices of one epoch; a last batch of a single pair joins the one before it.

    Batch-norm has no statistics of a single pair.
    """
    starts = list(range(0, size, batch_size))
    if len(starts) > 1 and size - starts[-1] == 1:
        starts.pop()
    for start, stop in zip(starts, [*starts[1:], size], strict=True):
        yield slice(start, stop)
