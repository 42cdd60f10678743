"""Random numbers and padding of batches that members share.

Legend of shapes: m members, t rows of a member, n values of a batch.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

DRAWN_AT_ONCE = 2**18
"""Values that a member draws in one call (1 MB), unless a single batch takes more.

On a GPU other numbers come of other calls. So this does not depend on how many members there are.
"""


def uniform(
    generators: Sequence[torch.Generator], parts: Sequence[slice], per_row: int
) -> Iterator[Float[Tensor, "m n"]]:
    """Values in [0, 1) for each batch, from a generator for each member.

    Drawn for several batches in one call, which on a GPU is a launch for each member. On a CPU the
    numbers are those of a call for each batch.
    """
    sizes = [(part.stop - part.start) * per_row for part in parts]
    at_once = max(1, DRAWN_AT_ONCE // max(sizes))
    for start in range(0, len(sizes), at_once):
        now = sizes[start : start + at_once]
        drawn = torch.empty(len(generators), sum(now), device=generators[0].device)
        for row, generator in zip(drawn, generators, strict=True):
            row.uniform_(generator=generator)
        yield from drawn.split(now, dim=1)


def padded(
    rows: Sequence[Int[np.ndarray, " _"]], device: torch.device
) -> tuple[Int[Tensor, "m t"], Float[Tensor, "m t"]]:
    """Rows evened out by repeating their first entry with weight 0."""
    sizes = np.array([len(row) for row in rows])
    index = np.stack([np.append(row, np.repeat(row[:1], max(sizes) - len(row))) for row in rows])
    weight = np.arange(max(sizes)) < sizes[:, None]
    return (
        torch.as_tensor(index, dtype=torch.int64, device=device),
        torch.as_tensor(weight, dtype=torch.float32, device=device),
    )
