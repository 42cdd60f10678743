"""Sequences and a recurrent network; `vmap` has no rule for it, so folds train one by one.

python sweeps/run.py --space docs/examples/sequence_gru.py --trials 20
"""

from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from foldsweep import Data, SearchSpace, Shapes, TrialConfig, classification, tune, variant


def waves(rows: int = 200, steps: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """Noisy waves (rows, steps, 1) that rise first or fall first."""
    rng = np.random.default_rng(0)
    falls = rng.integers(0, 2, rows)
    phase = rng.uniform(-0.5, 0.5, (rows, 1)) + falls[:, None] * np.pi
    wave = np.sin(np.linspace(0, 2 * np.pi, steps) + phase) + rng.normal(0, 0.8, (rows, steps))
    return wave[..., None].astype(np.float32), falls


@dataclass(frozen=True, kw_only=True)
class RecurrentConfig(TrialConfig):
    """What every network has, and the size of the state."""

    units: int = 16


class Recurrent(nn.Module):
    """A GRU whose last state is classified."""

    def __init__(self, config: RecurrentConfig, shapes: Shapes):
        super().__init__()
        self.gru = nn.GRU(shapes.inputs["x"][1], config.units, batch_first=True)
        self.output = nn.Linear(config.units, shapes.outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.gru(x)[0][:, -1])


series, falls = waves()
task = classification("waves", Data.of({"x": series}, falls))


def space() -> SearchSpace:
    """Units and learning rate."""
    return SearchSpace(
        name="waves_gru",
        variant=variant("waves_gru", task, Recurrent, RecurrentConfig),
        domains={
            "lr": tune.loguniform(1e-3, 1e-1),
            "units": tune.lograndint(4, 33),
            "epochs": 10,
        },
    )
