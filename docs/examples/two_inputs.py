"""Two inputs, two targets, and a loss in two parts whose weight is searched.

    python sweeps/run.py --space docs/examples/two_inputs.py --trials 20
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from foldsweep import Data, Metric, SearchSpace, Shapes, Task, TrialConfig, tune, variant

rng = np.random.default_rng(0)
price = rng.normal(size=(300, 4)).astype(np.float32)
text = rng.normal(size=(300, 8)).astype(np.float32)
sold = (price[:, 0] + text[:, 0] > 0).astype(np.int64)
rating = (price[:, 1] - text[:, 1]).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class TwoConfig(TrialConfig):
    """What every network has, and how much the rating counts in the loss."""

    rating_weight: float = 0.5


class TwoNet(nn.Module):
    """Both inputs by name, and an output for each target."""

    def __init__(self, config: TwoConfig, shapes: Shapes):
        super().__init__()
        size = shapes.inputs["price"][0] + shapes.inputs["text"][0]
        self.hidden = nn.Sequential(nn.Linear(size, 32), nn.ReLU())
        self.sold, self.rating = nn.Linear(32, 2), nn.Linear(32, 1)

    def forward(self, price: Tensor, text: Tensor) -> dict[str, Tensor]:
        x = self.hidden(torch.cat([price, text], 1))
        return {"sold": self.sold(x), "rating": self.rating(x)}


def loss(output, target, *, rating_weight) -> dict[str, Tensor]:
    """Named parts, which are summed; `rating_weight` is the configuration's, one per row."""
    squares = (output["rating"][:, 0] - target["rating"]).square()
    kind = F.cross_entropy(output["sold"], target["sold"], reduction="none")
    return {"sold": kind, "rating": rating_weight * squares}


def right(output, target) -> Tensor:
    """Whether each row's class is right: a metric over rows."""
    return output["sold"].argmax(1) == target["sold"]


def predict(output) -> dict[str, Tensor]:
    """Predictions of the target `sold`."""
    return {"answer": output["sold"].argmax(-1), "probability": output["sold"].softmax(-1)}


data = Data.of({"price": price, "text": text}, {"sold": sold, "rating": rating}, name="sales")
accuracy = Metric(of=right, better="higher", equal=0.01)
kind = {"kind": "classification", "target": "sold", "outputs": 2, "classes": ("no", "yes")}
measured = {"metrics": {"accuracy": accuracy}, "objective": "accuracy"}
task = Task(name="sales", data=data, loss=loss, predict=predict, **kind, **measured)


def space() -> SearchSpace:
    """Learning rate, and the weight of the rating."""
    domains = {"lr": tune.loguniform(1e-3, 1e-1), "rating_weight": tune.loguniform(0.1, 10)}
    own = variant("two_net", task, TwoNet, TwoConfig)
    return SearchSpace(name="two_net", variant=own, domains={**domains, "epochs": 15})
