"""Trained networks as one torch module, from raw inputs to predictions."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from trainables.backprop.sequential import Sequential
from trainables.config import BaseConfig
from trainables.models.backprop import as_torch
from trainables.stack.engine import feed, persistent_buffers
from trainables.tasks.task import Output, Shapes, Task, Variant

FORMAT1_CONSTANTS = ("mean", "std")
"""Names of the constants of the only input, in weights that recipes of format 1 belong to."""
STATISTICS = "statistics."
"""Prefix of the names of kept statistics, which predictions need of the training rows."""


class Standardise(nn.Module):
    """Standardises numbers (n, ...) by a mean and a standard deviation of shape (1, ...)."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Tensor, std: Tensor):
        super().__init__()
        self.register_buffer("mean", mean.clone())
        self.register_buffer("std", std.clone())

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std


class Statistics(nn.Module):
    """Statistics of the training rows that predictions need, as buffers."""

    def __init__(self, values: Mapping[str, Any]):
        super().__init__()
        for name, value in values.items():
            self.register_buffer(name, torch.as_tensor(value, dtype=torch.float32).clone())

    def values(self) -> dict[str, Tensor]:
        """The statistics by name, with a leading axis for rows."""
        return {name: value.unsqueeze(0) for name, value in self.named_buffers()}


class Predictor(nn.Module):
    """Module that maps raw inputs to predictions, in evaluation mode.

    Raw inputs of a table are numbers, with NaN for missing values, and codes of categories; images
    are as given. Predictions are those of the task.
    """

    def __init__(
        self,
        network: nn.Module,
        task: Task,
        *,
        inputs: Sequence[str],
        constants: Mapping[str, tuple[Tensor, Tensor]],
        encoder: nn.Module | None,
        statistics: Mapping[str, Any],
    ):
        """Combine the parts.

        Args:
            network: The trained network.
            task: Task that computes predictions from the network's output.
            inputs: Names of the raw inputs, in order.
            constants: Mean and standard deviation of each standardised input, (1, ...).
            encoder: Fitted encoder of a table; None for other data.
            statistics: Statistics of the training rows that predictions need.
        """
        super().__init__()
        self.network = network
        self.standardise = nn.ModuleDict({k: Standardise(*v) for k, v in constants.items()})
        self.encoder = encoder
        self.statistics = Statistics(statistics)
        self.inputs = tuple(inputs)
        self.task = task
        self.eval().requires_grad_(False)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Predictions of n rows, each (n, ...)."""
        return tuple(self.named(*inputs).values())

    def named(self, *inputs: Tensor) -> dict[str, Tensor]:
        """Predictions of n rows by name."""
        return dict(self.task.predict(self.output(*inputs), **self.statistics.values()))

    def output(self, *inputs: Tensor) -> Output:
        """Output of the network for n rows."""
        named = dict(zip(self.inputs, inputs, strict=True))
        if self.encoder is not None:
            named = self.encoder(named)
        else:
            named = {name: as_trained(value) for name, value in named.items()}
        for name, standardise in self.standardise.items():
            named[name] = standardise(named[name].float())
        return feed(self.network, named)

    def values(self) -> dict[str, Tensor]:
        """All learnt values by name; shared weights occur once."""
        return dict(self.named_parameters()) | persistent_buffers(self)


def tensor_of(array: np.ndarray) -> Tensor:
    """The array as a tensor; copied only if the array is read-only."""
    return torch.from_numpy(array if array.flags.writeable else array.copy())


def as_trained(value: Tensor) -> Tensor:
    """A raw input in the type of a stack's rows: floats as float32, integers as int64 or uint8."""
    if value.is_floating_point():
        return value.float()
    return value if value.dtype == torch.uint8 else value.long()


class _Flattened(nn.Module):
    """A network of `trainables.backprop` as a torch module."""

    def __init__(self, network: Sequential):
        super().__init__()
        self.layers = as_torch(network)

    def forward(self, x: Tensor) -> Float[Tensor, "n units"]:
        return self.layers(x.flatten(1))


def network_of(
    variant: Variant,
    config: BaseConfig,
    shapes: Shapes,
    weights: Mapping[str, Tensor] | None = None,
) -> nn.Module:
    """A variant's network as a torch module.

    Args:
        variant: The variant.
        config: Its configuration.
        shapes: Shapes that the network is built for.
        weights: Weights as a stack returns them; None keeps the initial weights.

    Raises:
        ValueError: If the weights are those of another network.
    """
    network = variant.model(config, shapes)
    if isinstance(network, Sequential):
        if weights is not None:
            network.load_state_dict(weights)
        return _Flattened(network)
    if weights is not None:
        fill(dict(network.named_parameters()) | persistent_buffers(network), weights)
    return network


def kept_predictor(
    variant: Variant,
    config: BaseConfig,
    shapes: Shapes,
    raw: Mapping[str, tuple[int, ...]],
    kept: Mapping[str, Tensor],
) -> Predictor:
    """A predictor with kept values; constants of recipe format 1 are renamed.

    Args:
        variant: Variant of the network.
        config: Its configuration.
        shapes: Shapes that the network was built for.
        raw: Shape of each raw input of one row.
        kept: Values that `Predictor.values` returned.

    Raises:
        ValueError: If the values are those of another network.
    """
    task = variant.task
    constants = {}
    for name, how in task.standardise.items():
        shape = raw[name]
        own = {"whole": (), "channels": (0,), "columns": (len(shape) - 1,)}[how]
        size = [1, *(n if axis in own else 1 for axis, n in enumerate(shape))]
        constants[name] = (torch.zeros(size), torch.ones(size))
    predictor = Predictor(
        network_of(variant, config, shapes),
        task,
        inputs=tuple(raw),
        constants=constants,
        encoder=None if task.encode is None else task.encode.unfitted(),
        statistics={
            name: kept[f"{STATISTICS}{name}"]
            for name in task.predicts_with
            if f"{STATISTICS}{name}" in kept
        },
    )
    wanted = predictor.values()
    fill(wanted, _renamed(kept, wanted))
    return predictor


def _renamed(kept: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    values = dict(kept)
    for old in FORMAT1_CONSTANTS:
        new = next((k for k in wanted if k.startswith("standardise.") and k.endswith(old)), None)
        if old in values and new is not None:
            values[new] = values.pop(old).reshape(wanted[new].shape)
    return values


@torch.no_grad()
def fill(tensors: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    """Copy values into the tensors of the same names.

    Raises:
        ValueError: If names or shapes differ.
    """
    shapes = {name: tuple(t.shape) for name, t in tensors.items()}
    given = {name: tuple(t.shape) for name, t in values.items()}
    for name in sorted(shapes.keys() | given.keys()):
        if shapes.get(name) != given.get(name):
            raise ValueError(
                f"{name} must have the shape {shapes.get(name)}, but has {given.get(name)}"
            )
    for name, tensor in tensors.items():
        tensor.copy_(values[name])
