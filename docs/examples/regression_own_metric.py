"""A regression with a loss, a metric and a network of one's own: the 90 % quantile.

python sweeps/run.py --space docs/examples/regression_own_metric.py --trials 20
"""

from dataclasses import dataclass

from sklearn.datasets import load_diabetes
from torch import Tensor, nn

import foldsweep as fs
from foldsweep import tune


def pinball(output: Tensor, target: Tensor, *, target_mean: Tensor, target_std: Tensor) -> Tensor:
    """Loss of each row; networks predict the target standardised by the training rows."""
    error = (target - target_mean) / target_std - output[:, 0]
    return (0.9 * error).maximum(-0.1 * error)


def coverage_error(target, prediction) -> float:
    """How far the share of targets below the prediction is from 90 %; over all held-out rows."""
    return abs(float((target <= prediction).mean()) - 0.9)


@dataclass(frozen=True, kw_only=True)
class QuantileConfig(fs.TrialConfig):
    """What every network has, and one field more."""

    units: int = 32


class QuantileNet(nn.Module):
    """One hidden layer; an ordinary module that knows nothing of folds."""

    def __init__(self, config: QuantileConfig, shapes: fs.Shapes):
        super().__init__()
        (size,) = shapes.inputs["numeric"]
        self.hidden = nn.Sequential(nn.Linear(size, config.units), nn.ReLU())
        self.dropout = fs.Dropout(config.dropout)
        self.output = nn.Linear(config.units, shapes.outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.dropout(self.hidden(x)))


data = fs.Data.of(*load_diabetes(return_X_y=True, as_frame=True, scaled=False), name="diabetes")
coverage = fs.Metric(of=coverage_error, over="all", needs="value", better="lower", equal=0.02)
own = {"coverage_error": coverage}
task = fs.regression("quantile", data, loss=pinball, metrics=own, objective="coverage_error")


def space() -> fs.SearchSpace:
    """Units and learning rate."""
    domains = {"lr": tune.loguniform(1e-4, 1e-1), "units": tune.lograndint(8, 129)}
    variant = fs.variant("quantile_net", task, QuantileNet, QuantileConfig)
    return fs.SearchSpace(name="quantile", variant=variant, domains=domains | {"dropout": 0.1})
