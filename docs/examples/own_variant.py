"""A variant of one's own on a task that ships: a network that sees only a difference of images.

python sweeps/run.py --space docs/examples/own_variant.py
"""

from dataclasses import dataclass

from torch import Tensor, nn

from foldsweep import Dropout, Point, SearchSpace, Shapes, TrialConfig, tune, variant
from trainables.tasks.larger_digit import TASK


@dataclass(frozen=True, kw_only=True)
class DifferenceConfig(TrialConfig):
    """What every network has (`lr`, `batch_size`, `epochs`, `dropout`, ...) and one field more."""

    units: int = 64
    """Hidden units."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("units", self.units >= 1, "at least 1")  # the message names rule and value


class DifferenceNet(nn.Module):
    """One hidden layer on the right image minus the left one.

    An ordinary module: it knows nothing of folds, stacks or Ray. The pairs come as a tensor of
    shape (batch, 2, 14, 14); the scores are for "left is larger" and "right is at least equal".
    """

    def __init__(self, config: DifferenceConfig, shapes: Shapes):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(14 * 14, config.units),
            nn.ReLU(),
            Dropout(config.dropout),  # nn.Dropout, but all folds get the noise they would alone
            nn.Linear(config.units, shapes.outputs),
        )

    def forward(self, pair: Tensor) -> Tensor:
        return self.layers(pair[:, 1] - pair[:, 0])


def space() -> SearchSpace:
    """Three domains, one fixed value, and a setting to try first: the baseline of the sweep."""
    return SearchSpace(
        name="own_difference",
        variant=variant("difference", TASK, DifferenceNet, DifferenceConfig),
        domains={
            "lr": tune.loguniform(1e-4, 1e-1),
            "units": tune.lograndint(8, 257),
            "dropout": tune.uniform(0.0, 0.5),
            "epochs": 25,
        },
        points=[Point(name="plain", config={"lr": 1e-3, "units": 64, "dropout": 0.0})],
    )
