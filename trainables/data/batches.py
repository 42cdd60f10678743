"""Batches of rows."""

from collections.abc import Iterator


def batches(size: int, batch_size: int) -> Iterator[slice]:
    """Slices of the batches of one epoch.

    A last batch of a single row is joined to the batch before it, because batch-norm cannot
    compute statistics of a single row.
    """
    starts = list(range(0, size, batch_size))
    if len(starts) > 1 and size - starts[-1] == 1:
        starts.pop()
    for start, stop in zip(starts, [*starts[1:], size], strict=True):
        yield slice(start, stop)
