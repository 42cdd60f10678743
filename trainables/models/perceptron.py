"""Perceptrons for tables and arrays of any shape, with numeric and categorical inputs."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from trainables.config import ClassifierConfig, TrialConfig
from trainables.models.layers import (
    ACTIVATIONS,
    Activation,
    Widths,
    dense_layers,
    dropout_layers,
    widths_of,
)
from trainables.tasks.samples import CATEGORIES
from trainables.tasks.task import Shapes


@dataclass(frozen=True, kw_only=True)
class PerceptronConfig(TrialConfig):
    """Linear layers on all inputs of a row."""

    hidden: Widths = 64
    """Hidden units: one width for each of `hidden_layers` layers, or a width per layer."""
    hidden_layers: int = 2
    activation: Activation = "relu"
    batch_norm: bool = False
    """Batch-norm before each hidden activation."""
    residual: bool = False
    """Residual connection around each hidden layer after the first; needs layers of equal
    width."""
    embedding: int = 0
    """Size of the learned embedding of each categorical column; 0 for one-hot encoding."""

    def __post_init__(self) -> None:
        super().__post_init__()
        widths = self.hidden_widths
        self.require_at_least(1, hidden=widths_of(self.hidden))
        self.require_at_least(0, hidden_layers=self.hidden_layers, embedding=self.embedding)
        equal = len(set(widths)) <= 1
        self.require("residual", equal or not self.residual, "False for layers of unequal width")

    @property
    def hidden_widths(self) -> tuple[int, ...]:
        """Units of each hidden layer."""
        return widths_of(self.hidden, repeat=self.hidden_layers)


@dataclass(frozen=True, kw_only=True)
class PerceptronClassifierConfig(PerceptronConfig, ClassifierConfig):
    """Perceptron for classification."""


class Features(nn.Module):
    """All inputs of a row as one vector: numbers as they are, categories encoded.

    Inputs are flattened and concatenated. Categories are one-hot encoded, or embedded if
    `embedding` is positive; code 0 stands for missing, unseen and rare categories. The first
    layers of a network on a table:

        self.features = Features(shapes)
        self.hidden = nn.Linear(self.features.num_features, 32)

    Args:
        shapes: Shapes of the task's data.
        embedding: Size of the learned embedding of each categorical column; 0 for one-hot
            encoding.
    """

    takes_leading_axes = True

    def __init__(self, shapes: Shapes, embedding: int = 0):
        super().__init__()
        self.names = tuple(shapes.inputs)
        self.axes = {name: len(shape) for name, shape in shapes.inputs.items()}
        self.num_features = sum(
            torch.Size(shape).numel()
            for name, shape in shapes.inputs.items()
            if name != CATEGORIES
        )
        self.categories: nn.Module | None = None
        if CATEGORIES in shapes.inputs:
            self.categories = (
                Embedded(shapes.levels, embedding) if embedding else OneHot(shapes.levels)
            )
            self.num_features += self.categories.num_features

    def forward(self, *alone: Tensor, **inputs: Tensor) -> Float[Tensor, "*m b features"]:
        named = dict(zip(self.names, alone, strict=False)) | inputs
        parts = [
            named[name].flatten(-self.axes[name]) for name in self.names if name != CATEGORIES
        ]
        if self.categories is not None:
            parts.append(self.categories(named[CATEGORIES]))
        return torch.cat(parts, -1) if len(parts) > 1 else parts[0]


class Perceptron(Features):
    """Perceptron on the concatenated inputs, with one output per class or value to predict."""

    def __init__(self, config: PerceptronConfig, shapes: Shapes):
        super().__init__(shapes, config.embedding)
        self.hidden = _hidden_layers(config, self.num_features)
        sizes = (self.num_features, *config.hidden_widths)
        self.output = nn.Linear(sizes[-1], shapes.outputs)

    def forward(self, *alone: Tensor, **inputs: Tensor) -> Float[Tensor, "*m b outputs"]:
        return self.output(self.hidden(super().forward(*alone, **inputs)))


class OneHot(nn.Module):
    """One-hot encoding of the codes of several columns, concatenated over the columns."""

    column: Tensor
    level: Tensor

    def __init__(self, levels: tuple[int, ...]):
        super().__init__()
        column = [i for i, count in enumerate(levels) for _ in range(count)]
        level = [value for count in levels for value in range(count)]
        self.register_buffer("column", torch.tensor(column), persistent=False)
        self.register_buffer("level", torch.tensor(level), persistent=False)
        self.num_features = len(column)

    def forward(self, codes: Int[Tensor, "*m b q"]) -> Float[Tensor, "*m b levels"]:
        hit: Bool[Tensor, "*m b levels"] = codes.index_select(-1, self.column) == self.level
        return hit.float()


class Embedded(nn.Module):
    """Learned embeddings of the codes of several columns, concatenated over the columns."""

    def __init__(self, levels: tuple[int, ...], size: int):
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(count, size) for count in levels)
        self.num_features = size * len(levels)

    def forward(self, codes: Int[Tensor, "*m b q"]) -> Float[Tensor, "*m b features"]:
        return torch.cat([table(codes[..., i]) for i, table in enumerate(self.tables)], -1)


class Residual(nn.Module):
    """Residual connection: adds the output of `layers` to their input."""

    def __init__(self, layers: nn.Module):
        super().__init__()
        self.layers = layers

    def forward(self, x: Float[Tensor, "*m b f"]) -> Float[Tensor, "*m b f"]:
        return x + self.layers(x)


def _hidden_layers(config: PerceptronConfig, features: int) -> nn.Sequential:
    widths = config.hidden_widths
    if not config.residual:
        return dense_layers(
            features,
            widths,
            activation=config.activation,
            dropout=config.dropout,
            batch_norm=config.batch_norm,
        )
    blocks: list[nn.Module] = []
    for i, width in enumerate(widths):
        layers: list[Any] = [nn.Linear(features if i == 0 else width, width)]
        layers += [nn.BatchNorm1d(width)] if config.batch_norm else []
        layers += [ACTIVATIONS[config.activation](), *dropout_layers(config.dropout)]
        blocks.append(nn.Sequential(*layers) if i == 0 else Residual(nn.Sequential(*layers)))
    return nn.Sequential(*blocks)
