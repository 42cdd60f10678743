"""A regression with a loss, a metric and a network of one's own.

    python sweeps/run.py --space docs/examples/regression_own_metric.py --trials 20
"""

from dataclasses import dataclass

from sklearn.datasets import load_diabetes
from torch import Tensor, nn

from foldsweep import (
    Data,
    Dropout,
    Metric,
    SearchSpace,
    Shapes,
    TrialConfig,
    regression,
    tune,
    variant,
)


def pinball(output: Tensor, target: Tensor, *, target_mean: Tensor, target_std: Tensor) -> Tensor:
    """Loss of a 90 % quantile, one number per row; output is on the scale of the training rows."""
    error = (target - target_mean) / target_std - output[:, 0]
    return (0.9 * error).maximum(-0.1 * error)


def coverage_error(target, prediction) -> float:
    """How far the share of values below the prediction is from 90 %; over all held-out rows."""
    return abs(float((target <= prediction).mean()) - 0.9)


@dataclass(frozen=True, kw_only=True)
class QuantileConfig(TrialConfig):
    """What every network has, and one field more."""

    units: int = 32


class QuantileNet(nn.Module):
    """One hidden layer; an ordinary module that knows nothing of folds."""

    def __init__(self, config: QuantileConfig, shapes: Shapes):
        super().__init__()
        (size,) = shapes.inputs["numeric"]
        self.layers = nn.Sequential(
            nn.Linear(size, config.units), nn.ReLU(), Dropout(config.dropout)
        )
        self.output = nn.Linear(config.units, shapes.outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.layers(x))


inputs, target = load_diabetes(return_X_y=True, as_frame=True)
coverage = Metric(of=coverage_error, over="all", needs="value", better="lower", equal=0.02)
task = regression(
    "diabetes_p90",
    Data.of(inputs, target),
    loss=pinball,
    metrics={"coverage_error": coverage},
    objective="coverage_error",
)


def space() -> SearchSpace:
    """Units, dropout and learning rate."""
    own = variant("quantile", task, QuantileNet, QuantileConfig)
    domains = {"lr": tune.loguniform(1e-4, 1e-1), "units": tune.lograndint(8, 129)}
    return SearchSpace(
        name="quantile", variant=own, domains={**domains, "dropout": 0.1, "epochs": 30}
    )
