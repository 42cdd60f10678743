"""Random numbers for batches, and padding of members' rows to equal length.

Legend of shapes: m members, t rows of a member, n values of a batch.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

DRAWN_AT_ONCE = 2**18
"""Number of values drawn per member in one call (1 MB), unless a single batch needs more.

On a GPU the numbers depend on how draws are split into calls, so this value must not depend on
the number of members.
"""


def uniform(
    generators: Sequence[torch.Generator], parts: Sequence[slice], per_row: int
) -> Iterator[Float[Tensor, "m n"]]:
    """Yield values in [0, 1) for each batch, drawn from one generator per member.

    One call draws for several batches, because on a GPU each call is a launch per member. On a CPU
    the numbers equal those of one call per batch.
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
    """Rows padded to equal length by repeating their first entry, and the weights of the rows.

    Padding has weight 0, all other rows have weight 1.
    """
    sizes = np.array([len(row) for row in rows])
    index = np.stack([np.append(row, np.repeat(row[:1], max(sizes) - len(row))) for row in rows])
    weight = np.arange(max(sizes)) < sizes[:, None]
    return (
        torch.as_tensor(index, dtype=torch.int64, device=device),
        torch.as_tensor(weight, dtype=torch.float32, device=device),
    )
