"""Search space of the killed sweeps: short trials, one rung, and a network slow to build."""

import os
import time
from contextlib import suppress
from pathlib import Path

from torch import Tensor, nn

from foldsweep import Point, SearchSpace, Shapes, TrialConfig, tune, variant
from trainables.tasks.larger_digit import TASK

BUILDING_S = 0.2
"""Seconds to build a network; long enough to kill a reused process while it builds."""
MARKS = "FOLDSWEEP_CHAOS_MARKS"
"""Environment variable with the folder in which a process has a file while it builds a network.

The file is named by the process id.
"""


class Net(nn.Module):
    """One linear layer."""

    def __init__(self, config: TrialConfig, shapes: Shapes):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(2 * 14 * 14, shapes.outputs))
        mark = Path(os.environ.get(MARKS, "nowhere")) / str(os.getpid())
        with suppress(OSError):
            mark.touch()
        time.sleep(BUILDING_S)
        mark.unlink(missing_ok=True)

    def forward(self, pair: Tensor) -> Tensor:
        return self.layers(pair)


def space() -> SearchSpace:
    return SearchSpace(
        name="killed",
        variant=variant("killed", TASK, Net, TrialConfig),
        domains={
            "lr": tune.loguniform(1e-4, 1e-1),
            "batch_size": tune.lograndint(4, 65),
            "weight_decay": tune.loguniform(1e-6, 1e-1),
            "epochs": 9,
        },
        points=[Point(name="plain", config={"lr": 1e-3, "batch_size": 8, "weight_decay": 0.0})],
    )
