"""Learning-rate schedules over epochs, counted from 0."""

import math
from collections.abc import Callable
from typing import Literal, TypeVar

from torch import Tensor

from trainables.backprop.names import chosen

Schedule = Literal["constant", "exponential", "time", "step"]
Rate = TypeVar("Rate", float, Tensor, float | Tensor)

STEP_EPOCHS = 10
"""Epochs between two halvings of the step schedule."""

SCHEDULES: dict[str, Callable[[float, int], float]] = {
    "constant": lambda decay, epoch: 1.0,
    "exponential": lambda decay, epoch: math.exp(-decay * epoch),
    "time": lambda decay, epoch: 1.0 / (1.0 + decay * epoch),
    "step": lambda decay, epoch: 0.5 ** (epoch // STEP_EPOCHS),
}
"""Functions `(decay, epoch)` to the factor on the initial learning rate, by name."""


def scheduled_lr(schedule: str, lr: Rate, decay: float, epoch: int) -> Rate:
    """Learning rate of an epoch e, counted from 0.

    `constant` is lr, `exponential` is lr exp(-decay e), `time` is lr / (1 + decay e) and `step`
    is lr / 2^floor(e / 10), which does not depend on the decay.

    Args:
        schedule: One of `Schedule`.
        lr: Learning rate of the first epoch, one number or one per member.
        decay: Decay rate per epoch.
        epoch: Number of finished epochs.

    Raises:
        UserError: If there is no such schedule.
    """
    return lr * chosen(SCHEDULES, schedule, what="schedule")(decay, epoch)
