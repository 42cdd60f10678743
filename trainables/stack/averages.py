"""Metrics of one epoch of a stack, as averages over rows.

Legend of shapes: m members.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int

from foldsweep.errors import UserError
from trainables.stack.engine import Sums
from trainables.stack.scoring import LOSS

Averages = dict[str, Float[np.ndarray, " m"]]
"""Averages over a member's rows by name, one value for each member."""


@dataclass(frozen=True, kw_only=True)
class EpochMetrics:
    """Averages after one epoch, by name, one value for each member.

    `train` averages over the batches of the epoch, each measured when it was trained on;
    `held_out` is exact over the held-out rows.
    """

    epoch: int
    train: Averages
    held_out: Averages
    main_part: str | None = None
    """Name of the first part of a loss with several parts; the averages hold the other parts."""

    @property
    def finite(self) -> bool:
        """Whether every member's losses are finite."""
        losses = (self.train[LOSS], self.held_out[LOSS])
        return all(bool(np.isfinite(loss).all()) for loss in losses)


def sum_of(sums: Sums, more: Sums) -> Sums:
    """Add the sums of two parts of an epoch; empty `sums` count as zero."""
    return {name: value + sums[name] if sums else value for name, value in more.items()}


def averages(sums: Sums, sizes: Int[np.ndarray, " m"]) -> Averages:
    """Divide sums by the number of rows, in double precision."""
    values = torch.stack([value.double() for value in sums.values()]).cpu().numpy()
    return {name: value / sizes for name, value in zip(sums, values, strict=True)}


def require_finite(loss: Float[np.ndarray, " m"], epoch: int) -> None:
    """Refuse to continue after an epoch with a loss that is not finite.

    Args:
        loss: Training loss of each member.
        epoch: The epoch, counted from 1.

    Raises:
        UserError: If a loss is infinite or NaN.
    """
    if not np.isfinite(loss).all():
        raise UserError.of("averages.loss-not-finite", epoch=epoch)
