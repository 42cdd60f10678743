import math
from typing import get_args

import pytest
import torch

from tests.refusals import refused
from trainables.backprop.schedules import SCHEDULES, Schedule, scheduled_lr


@pytest.mark.parametrize(
    ("schedule", "decay", "epoch", "expected"),
    [
        ("constant", 0.5, 7, 0.2),
        ("exponential", 0.5, 0, 0.2),
        ("exponential", 0.5, 4, 0.2 * math.exp(-2)),
        ("exponential", 0.0, 4, 0.2),
        ("time", 0.5, 0, 0.2),
        ("time", 0.5, 2, 0.1),
        ("time", 0.5, 6, 0.05),
        ("step", 0.5, 9, 0.2),
        ("step", 0.5, 10, 0.1),
        ("step", 0.0, 29, 0.05),
    ],
)
def test_learning_rates_by_hand(schedule, decay, epoch, expected):
    assert scheduled_lr(schedule, 0.2, decay, epoch) == pytest.approx(expected)
    each = scheduled_lr(schedule, torch.tensor([0.2, 0.4]), decay, epoch)
    torch.testing.assert_close(each, torch.tensor([expected, 2 * expected]))


def test_an_unknown_schedule_is_refused_with_the_known_ones():
    assert set(SCHEDULES) == set(get_args(Schedule))
    with refused(
        "backprop-names.unknown", what="schedule", known=" or ".join(SCHEDULES), name="steps"
    ):
        scheduled_lr("steps", 0.1, 0.0, 0)
