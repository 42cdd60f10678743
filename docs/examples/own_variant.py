"""A variant of one's own: does a small perceptron do better on the *difference* of two images?

    python sweeps/run.py --space docs/examples/own_variant.py --dataset digits

The file may lie anywhere: foldsweep imports it by its path, and its classes travel to Ray's
workers by value. A variant is a network, a configuration and a Trainable that bears its name;
`space()` says what of the configuration is searched.
"""

from dataclasses import dataclass

from ray import tune
from torch import Tensor, nn

from search_spaces.space import Point, SearchSpace
from trainables.config import TrialConfig
from trainables.models.layers import Dropout, Scores
from trainables.trainable import FoldTrainable
from trainables.variants import Variant


@dataclass(frozen=True, kw_only=True)
class DifferenceConfig(TrialConfig):
    """What every variant has (`lr`, `batch_size`, `epochs`, `dropout`, ...) and one field more."""

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

    def __init__(self, config: DifferenceConfig):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(14 * 14, config.units),
            nn.ReLU(),
            Dropout(config.dropout),  # nn.Dropout, but all folds get the noise they would alone
            nn.Linear(config.units, 2),
        )

    def forward(self, pair: Tensor) -> Scores:
        return Scores(self.layers(pair[:, 1] - pair[:, 0]))


class DifferenceTrainable(FoldTrainable):
    """Binds the variant; everything else is inherited."""

    variant = Variant(name="difference", model=DifferenceNet, config=DifferenceConfig)


def space() -> SearchSpace:
    """Three domains, one fixed value, and a setting to try first: the baseline of the sweep."""
    return SearchSpace(
        name="own_difference",
        trainable=DifferenceTrainable,
        domains={
            "lr": tune.loguniform(1e-4, 1e-1),
            "units": tune.lograndint(8, 257),
            "dropout": tune.uniform(0.0, 0.5),
            "epochs": 25,
        },
        points=[Point(name="plain", config={"lr": 1e-3, "units": 64, "dropout": 0.0})],
    )
