"""Tasks of every kind that a stack may train, with small networks for them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from torch import nn
from torch.nn import functional as F

from trainables.config import TrialConfig
from trainables.models.images import ConvNet, ConvNetClassifierConfig
from trainables.models.perceptron import (
    Perceptron,
    PerceptronClassifierConfig,
    PerceptronConfig,
)
from trainables.stack.stack import FoldStack, Member
from trainables.tasks.kinds import classification, regression
from trainables.tasks.metrics import Metric
from trainables.tasks.samples import Data, Samples
from trainables.tasks.task import DataRequest, Task

ROWS = 61
MODES = ["fused", "looped"]
COMMON = {"batch_size": 9, "epochs": 3, "lr": 0.01}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A task, a network for it and the network's configuration."""

    task: Task
    model: Callable[..., nn.Module]
    config: TrialConfig

    @property
    def samples(self) -> Samples:
        return self.task.load(DataRequest(seed=0)).train

    def build(self, config):
        return self.model(config, self.task.shapes(self.task.load(DataRequest(seed=0))))


def numbers(*shape):
    return np.random.default_rng(0).normal(size=(ROWS, *shape)).astype(np.float32)


def data_of(inputs, targets):
    return Data(name="made", train=Samples(inputs=inputs, targets=targets), test=None)


def slope() -> Case:
    """Regression task with one input."""
    x = numbers(4)
    target = 40 * x[:, 0] - 20 * x[:, 1] + 300
    task = regression("slope", data_of({"x": x}, {"height": target}))
    config = PerceptronConfig(hidden=8, dropout=0.2, batch_norm=True, **COMMON)
    return Case(task=task, model=Perceptron, config=config)


def table() -> Case:
    """Task with three classes; the inputs are numbers, some of them missing, and words."""
    x = numbers(2)
    kind = np.digitize(x[:, 0], [-0.4, 0.4])
    frame = pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "word": np.array(["x", "y", "z"])[kind]})
    frame.loc[::7, "b"] = np.nan
    target = pd.Series(np.array(["low", "middle", "high"])[kind])
    task = classification("table", Data.of(frame, target, holdout=0.0, name="made"))
    config = PerceptronClassifierConfig(hidden=8, label_smoothing=0.1, **COMMON)
    return Case(task=task, model=Perceptron, config=config)


def colours() -> Case:
    """Task with four classes of colour images."""
    images = numbers(3, 10, 10)
    label = (images[:, 0].mean((1, 2)) > 0) * 2 + (images[:, 1].mean((1, 2)) > 0)
    task = classification("colours", data_of({"images": images}, {"label": label.astype(int)}))
    config = ConvNetClassifierConfig(channels=(3, 4), hidden=8, batch_norm="before", **COMMON)
    return Case(task=task, model=ConvNet, config=config)


class TwoHeads(nn.Module):
    """User-defined network; inputs: an image and numbers; outputs: scores and a level."""

    def __init__(self, config, shapes):
        super().__init__()
        self.see = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 8))
        self.read = nn.Linear(2, 8)
        self.label = nn.Linear(8, 2)
        self.level = nn.Linear(8, 1)

    def forward(self, image, numbers):
        both = (self.see(image) + self.read(numbers)).relu()
        return {"label": self.label(both), "level": self.level(both).squeeze(-1)}


def two_losses(output, target):
    assert output["label"].ndim == 2, "members are not flattened into rows"
    label = F.cross_entropy(output["label"], target["label"], reduction="none")
    return {
        "label": label,
        "level": F.mse_loss(output["level"], target["level"], reduction="none"),
    }


def two() -> Case:
    """Two inputs and two targets; PyTorch's losses for one network also work for all members."""
    image, few = numbers(1, 6, 6), numbers(2)
    targets = {"label": (few[:, 0] > 0).astype(int), "level": image.mean((1, 2, 3))}
    task = Task(
        name="two",
        data=data_of({"image": image, "numbers": few}, targets),
        loss=two_losses,
        metrics={
            "accuracy": Metric(
                of=lambda output, target: output["label"].argmax(-1) == target["label"],
                better="higher",
                equal=0.01,
            ),
            "distance": Metric(
                of=lambda output, target: (output["level"] - target["level"]).abs(),
                better="lower",
                equal=0.1,
            ),
        },
        objective="accuracy",
        target="label",
        predict=lambda output, **_: {
            "answer": output["label"].argmax(-1),
            "value": output["level"],
        },
    )
    return Case(task=task, model=TwoHeads, config=TrialConfig(**COMMON))


class Recurrent(nn.Module):
    """GRU over the steps of a sequence, for which `vmap` has no rule."""

    def __init__(self, config, shapes):
        super().__init__()
        self.steps = nn.GRU(3, 5, batch_first=True)
        self.output = nn.Linear(5, shapes.outputs)

    def forward(self, x):
        return self.output(self.steps(x)[0][:, -1])


def sequences() -> Case:
    """Task with two classes of sequences."""
    x = numbers(7, 3)
    task = classification(
        "sequences", data_of({"x": x}, {"label": (x.sum((1, 2)) > 0).astype(int)})
    )
    return Case(task=task, model=Recurrent, config=TrialConfig(**COMMON))


FUSING = {"slope": slope, "table": table, "colours": colours, "two": two}
ALL = {**FUSING, "sequences": sequences}


def members_of(config, sizes=(40, 41, 41)):
    """Members with `sizes` training rows, all other rows held out; of one or several configs."""
    configs = config if isinstance(config, list) else [config] * len(sizes)
    order = np.random.default_rng(1).permutation(ROWS)
    return [
        Member(config=c, train=order[:size], held_out=order[size:], seed=100 + i)
        for i, (c, size) in enumerate(zip(configs, sizes, strict=True))
    ]


def stack_of(case, members=None, *, mode="auto", build=None, device="cpu"):
    members = members_of(case.config) if members is None else members
    return FoldStack(
        build or case.build, members, case.samples, task=case.task, mode=mode, device=device
    )


def in_double_precision(case):
    """Function that builds a case's network in float64: rounding changes no sign of a gradient."""

    def double(value):
        return value.double() if value.is_floating_point() else value

    def build(config):
        model = case.build(config)
        model.register_forward_pre_hook(
            lambda _, alone, named: (
                tuple(map(double, alone)),
                {name: double(value) for name, value in named.items()},
            ),
            with_kwargs=True,
        )
        return model.double()

    return build
