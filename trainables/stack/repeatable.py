"""Deterministic convolutions on a GPU."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def repeatable() -> Iterator[None]:
    """Make cuDNN use deterministic kernels only: sums of others depend on the order of threads.

    The setting is restored on exit, so other code in this process keeps its own choice.
    """
    cudnn = torch.backends.cudnn
    before, cudnn.deterministic = cudnn.deterministic, True
    try:
        yield
    finally:
        cudnn.deterministic = before
