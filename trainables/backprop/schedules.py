"""Learning rates that fall from epoch to epoch, counted from 0."""

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
"""Factors on the first epoch's learning rate, by decay and epoch."""


def scheduled_lr(schedule: str, lr: Rate, decay: float, epoch: int) -> Rate:
    """Learning rate of an epoch e, counted from 0.

    `constant` is lr, `exponential` lr exp(-decay e), `time` lr / (1 + decay e) and `step`
    lr / 2^floor(e / 10), which the decay does not change.

    Args:
        schedule: One of `Schedule`.
        lr: Learning rate of the first epoch, one number or one for each member.
        decay: How fast it falls.
        epoch: Epochs that are over.

    Raises:
        UserError: If there is no such schedule.
    """
    return lr * chosen(SCHEDULES, schedule, what="schedule")(decay, epoch)
