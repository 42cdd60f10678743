"""What an epoch of a stack comes to.

Legend of shapes: m members.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int

from foldsweep.errors import UserError
from trainables.stack.engine import Totals


class Averages(NamedTuple):
    """Averages over a member's pairs, one value for each member."""

    loss: Float[np.ndarray, " m"]
    accuracy: Float[np.ndarray, " m"]
    digit_accuracy: Float[np.ndarray, " m"]
    """Over images, of which a pair has two."""
    digit_loss: Float[np.ndarray, " m"]
    """The digits' weighted part of `loss`."""


@dataclass(frozen=True, kw_only=True)
class EpochMetrics:
    """Metrics after one epoch, one value for each member.

    `train_*` are averages over the epoch while its batches were trained on; `held_out_*` are exact
    over the held-out pairs; digit accuracy is over images.
    """

    epoch: int
    train_loss: Float[np.ndarray, " m"]
    train_digit_loss: Float[np.ndarray, " m"]
    train_accuracy: Float[np.ndarray, " m"]
    held_out_loss: Float[np.ndarray, " m"]
    held_out_accuracy: Float[np.ndarray, " m"]
    held_out_digit_accuracy: Float[np.ndarray, " m"]

    @property
    def finite(self) -> bool:
        """Whether every member's losses are finite."""
        return bool(np.isfinite(self.train_loss).all() and np.isfinite(self.held_out_loss).all())


def averages(totals: Totals, sizes: Int[np.ndarray, " m"]) -> Averages:
    """Per pair, and digit accuracy per image."""
    every = (totals.loss, totals.hits, totals.digit_hits, totals.digit_loss)
    loss, hits, digit_hits, digit_loss = torch.stack([t.double() for t in every]).cpu().numpy()
    return Averages(
        loss=loss / sizes,
        accuracy=hits / sizes,
        digit_accuracy=digit_hits / (2 * sizes),
        digit_loss=digit_loss / sizes,
    )


def require_finite(loss: Float[np.ndarray, " m"], epoch: int) -> None:
    """Refuse to go on from an epoch, counted from 1, in which a loss was lost.

    Raises:
        UserError: If a loss is infinite or NaN.
    """
    if not np.isfinite(loss).all():
        raise UserError(f"a loss became infinite or NaN in epoch {epoch}; nothing to report")
