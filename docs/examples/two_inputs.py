"""Two inputs, two targets, and a loss in two parts whose weight is searched.

python sweeps/run.py --space docs/examples/two_inputs.py --trials 20
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

import foldsweep as fs

price, text = np.random.default_rng(0).normal(size=(2, 300, 4))
sold, rating = (price[:, 0] + text[:, 0] > 0).astype(int), price[:, 1] - text[:, 1]
data = fs.Data.of({"price": price, "text": text}, {"sold": sold, "rating": rating}, name="sales")


@dataclass(frozen=True, kw_only=True)
class TwoConfig(fs.TrialConfig):
    """What every network has, and how much the rating counts in the loss."""

    rating_weight: float = 0.5


class TwoNet(nn.Module):
    """Gets the inputs by name, and returns an output for each target."""

    def __init__(self, config: TwoConfig, shapes: fs.Shapes):
        super().__init__()
        self.hidden, self.output = nn.Linear(4 + 4, 32), nn.Linear(32, 2 + 1)

    def forward(self, price: Tensor, text: Tensor) -> dict[str, Tensor]:
        output = self.output(self.hidden(torch.cat([price, text], 1)).relu())
        return {"sold": output[:, :2], "rating": output[:, 2]}


def loss(output, target, *, rating_weight) -> dict[str, Tensor]:
    """Parts, which are summed; `rating_weight` is the configuration's field, one per row."""
    kind = nn.functional.cross_entropy(output["sold"], target["sold"], reduction="none")
    return {"sold": kind, "rating": rating_weight * (output["rating"] - target["rating"]) ** 2}


def predict(output) -> dict[str, Tensor]:
    """Class and probabilities of the target `sold`."""
    return {"answer": output["sold"].argmax(-1), "probability": output["sold"].softmax(-1)}


right = fs.Metric(of=lambda o, t: o["sold"].argmax(1) == t["sold"], better="higher", equal=0.01)
measured = {"metrics": {"accuracy": right}, "objective": "accuracy"}
kind = {"kind": "classification", "target": "sold", "outputs": 2, "classes": ("no", "yes")}
task = fs.Task(name="sales", data=data, loss=loss, predict=predict, **measured, **kind)


def space() -> fs.SearchSpace:
    """Learning rate, and the weight of the rating."""
    own = fs.variant("two_net", task, TwoNet, TwoConfig)
    domains = {"lr": fs.tune.loguniform(1e-3, 0.1), "rating_weight": fs.tune.loguniform(0.1, 10)}
    return fs.SearchSpace(name="two_net", variant=own, domains=domains | {"epochs": 15})
