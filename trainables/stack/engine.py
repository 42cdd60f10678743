"""The interface of engines: batches and values that a stack passes in, sums that it gets back.

Legend of shapes: m members, b rows in a batch, n noise values.
"""

import abc
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from foldsweep.errors import UserError
from trainables.config import TrialConfig
from trainables.tasks.task import Output

Sums = dict[str, Float[Tensor, " m"]]
"""Sums over the rows of a batch for each member, by name: `loss`, its parts, and metrics."""
MemberSums = dict[str, Float[Tensor, ""]]
"""`Sums` of a single member."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One batch for every member; rows of `weight` 0 are padding."""

    inputs: dict[str, Tensor]
    """By name, of shape (m, b, ...)."""
    targets: dict[str, Tensor]
    """By name, of shape (m, b, ...)."""
    weight: Float[Tensor, "m b"]
    noise: Float[Tensor, "m n"] | None = None
    """Uniform noise for all dropout layers, in order; None lets the layers draw their own."""

    def tensors(self) -> dict[str, Tensor]:
        """All tensors, each under a unique name."""
        named = {f"inputs.{name}": value for name, value in self.inputs.items()}
        named |= {f"targets.{name}": value for name, value in self.targets.items()}
        named["weight"] = self.weight
        return named if self.noise is None else {**named, "noise": self.noise}

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> "Batch":
        """Build a batch from named tensors; the inverse of `tensors`."""

        def part(prefix: str) -> dict[str, Tensor]:
            return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

        return cls(
            inputs=part("inputs."),
            targets=part("targets."),
            weight=tensors["weight"],
            noise=tensors.get("noise"),
        )


@dataclass(frozen=True, kw_only=True)
class MemberValues:
    """Values of one epoch for hyperparameters that do not change shapes, one per member."""

    weight_decay: Float[Tensor, " m"]
    loss: dict[str, Tensor]
    """Keyword arguments of the loss, of shape (m, ...)."""

    @classmethod
    def of(
        cls,
        configs: Sequence[TrialConfig],
        statistics: Sequence[Mapping[str, Any]],
        names: Sequence[str],
        device: torch.device,
        *,
        epoch: int,
    ) -> "MemberValues":
        """Collect the values of the members' configurations and statistics.

        Args:
            configs: Configuration of each member.
            statistics: Statistics that the task computed from each member's training rows.
            names: Keyword arguments of the loss.
            device: Device of the values.
            epoch: Epoch, counted from 0.
        """
        loss = {}
        for name in names:
            values = [_value(c, s, name, epoch) for c, s in zip(configs, statistics, strict=True)]
            if values[0] is not None:
                tensors = [torch.as_tensor(value, dtype=torch.float32) for value in values]
                loss[name] = torch.stack(tensors).to(device)
        decay = torch.tensor([float(config.weight_decay) for config in configs], device=device)
        return cls(weight_decay=decay, loss=loss)

    @cached_property
    def by_member(self) -> list[dict[str, Tensor]]:
        """Keyword arguments of the loss for each member, without a member axis."""
        return [
            {name: value[m] for name, value in self.loss.items()}
            for m in range(len(self.weight_decay))
        ]


def _value(config: TrialConfig, statistics: Mapping[str, Any], name: str, epoch: int) -> Any:
    """A keyword argument of the loss; None if neither configuration nor statistics have it."""
    scheduled = config.loss_values_at(epoch)
    if name in scheduled:
        return scheduled[name]
    if name == "class_weights" and getattr(config, "class_weight", "none") == "none":
        return None
    return statistics.get(name, getattr(config, name, None))


class AbstractEngine(abc.ABC):
    """Trains and evaluates all members on a batch; all engines give the same numbers.

    State is stacked over members under the same names in every engine, so that one engine can
    load what another saved.
    """

    values: MemberValues

    @abc.abstractmethod
    def freeze(self, parts: tuple[str, ...]) -> None:
        """Train all parameters except `parts` from this point, with a new optimiser.

        Args:
            parts: Names of modules or parameters, see `TrialConfig.frozen_at`.
        """

    @abc.abstractmethod
    def step(self, batch: Batch, lr: Float[Tensor, " m"]) -> Sums:
        """Take one optimiser step for every member; return the batch's sums before the step."""

    @abc.abstractmethod
    def evaluate(self, batch: Batch) -> Sums:
        """Sums of a batch in evaluation mode."""

    @abc.abstractmethod
    def predict(self, inputs: dict[str, Tensor]) -> Output:
        """Output for inputs (m, b, ...) in evaluation mode, with a leading member axis."""

    @abc.abstractmethod
    def weights(self) -> dict[str, Tensor]:
        """Parameters and buffers, stacked over members, by their names in one network."""

    @abc.abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Copies of parameters, buffers and optimiser moments, stacked over members."""

    @abc.abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state that any engine saved."""


def feed(network: Callable[..., Output], inputs: Mapping[str, Tensor]) -> Output:
    """Call a network: a single input as positional argument, several as keyword arguments."""
    return network(*inputs.values()) if len(inputs) == 1 else network(**inputs)


def require_inputs(network: nn.Module, inputs: Mapping[str, Tensor]) -> None:
    """Check that a network's `forward` accepts the inputs of the task, as `feed` passes them.

    Args:
        network: The network.
        inputs: Inputs (b, ...) by name.

    Raises:
        UserError: If not; the message names the inputs and their shapes.
    """
    alone = len(inputs) == 1
    try:
        inspect.signature(network.forward).bind(
            *(inputs.values() if alone else ()), **({} if alone else inputs)
        )
    except TypeError as error:
        shapes = ", ".join(f"{name} {tuple(value.shape[1:])}" for name, value in inputs.items())
        raise UserError.of(
            "stack.inputs-differ", network=type(network).__name__, problem=error, inputs=shapes
        ) from None


def belongs(name: str, parts: tuple[str, ...]) -> bool:
    """Whether a parameter is in one of `parts`, which are names of modules or parameters.

    >>> belongs("head.0.weight", ("head",)), belongs("header.weight", ("head",))
    (True, False)
    """
    return any(name == part or name.startswith(f"{part}.") for part in parts)


def persistent_buffers(model: nn.Module) -> dict[str, Tensor]:
    """Buffers that belong to a model's state, such as batch-norm statistics."""
    names = model.state_dict().keys()
    return {name: buffer for name, buffer in model.named_buffers() if name in names}
