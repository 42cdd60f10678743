"""Convolutions on a GPU that give the same numbers each time."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def repeatable() -> Iterator[None]:
    """Has cuDNN leave out kernels whose sums depend on which of their threads comes first.

    What else computes in this process keeps its own choice.
    """
    cudnn = torch.backends.cudnn
    before, cudnn.deterministic = cudnn.deterministic, True
    try:
        yield
    finally:
        cudnn.deterministic = before
