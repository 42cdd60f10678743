"""What a stack hands to its engine, and what it gets back.

Legend of shapes: m members, b pairs in a batch, n noise values.
"""

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from trainables.config import TrialConfig


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One batch for every member; pairs of `weight` 0 only fill a member's batch up."""

    images: Float[Tensor, "m b 2 h w"]
    classes: Int[Tensor, "m b 2"]
    target: Int[Tensor, "m b"]
    weight: Float[Tensor, "m b"]
    noise: Float[Tensor, "m n"] | None = None
    """Uniform noise for all dropout layers in turn; None lets the layers draw their own."""


@dataclass(frozen=True, kw_only=True)
class Totals:
    """Sums over the pairs of a batch, for each member."""

    loss: Float[Tensor, " m"]
    hits: Float[Tensor, " m"]
    digit_hits: Float[Tensor, " m"]
    digit_loss: Float[Tensor, " m"]
    """The digits' weighted part of `loss`."""

    def __add__(self, other: "Totals") -> "Totals":
        return Totals(
            loss=self.loss + other.loss,
            hits=self.hits + other.hits,
            digit_hits=self.digit_hits + other.digit_hits,
            digit_loss=self.digit_loss + other.digit_loss,
        )


@dataclass(frozen=True, kw_only=True)
class MemberVectors:
    """The hyperparameters that do not change shapes, one value for each member, in one epoch."""

    weight_decay: Float[Tensor, " m"]
    main_weight: Float[Tensor, " m"]
    aux_weight: Float[Tensor, " m"]
    label_smoothing: Float[Tensor, " m"]

    @classmethod
    def of(
        cls, configs: Sequence[TrialConfig], device: torch.device, *, epoch: int
    ) -> "MemberVectors":
        """Collect the vectors from the members' configurations; epochs count from 0."""
        weights = [config.loss_weights_at(epoch) for config in configs]
        return cls(
            weight_decay=_vector([config.weight_decay for config in configs], device),
            main_weight=_vector([main for main, _ in weights], device),
            aux_weight=_vector([aux for _, aux in weights], device),
            label_smoothing=_vector([config.label_smoothing for config in configs], device),
        )

    @property
    def loss_weights(self) -> tuple[Tensor, Tensor, Tensor]:
        """What `batch_sums` takes."""
        return self.main_weight, self.aux_weight, self.label_smoothing


def _vector(values: Sequence[float], device: torch.device) -> Float[Tensor, " m"]:
    return torch.tensor([float(value) for value in values], device=device)


class AbstractEngine(abc.ABC):
    """Computes members' batches in one way or another; all ways give the same numbers.

    State is stacked over members under the same names in every engine, so that what one saved
    another can load.
    """

    vectors: MemberVectors

    @abc.abstractmethod
    def freeze(self, parts: tuple[str, ...]) -> None:
        """Train all but `parts` from here on, with an optimiser that remembers nothing.

        Args:
            parts: Names of modules or parameters, see `TrialConfig.frozen_at`.
        """

    @abc.abstractmethod
    def step(self, batch: Batch, lr: Float[Tensor, " m"]) -> Totals:
        """Take one optimiser step for every member; totals are of the batch before the step."""

    @abc.abstractmethod
    def evaluate(self, batch: Batch) -> Totals:
        """Totals in evaluation mode."""

    @abc.abstractmethod
    def predict(self, images: Float[Tensor, "m b 2 h w"]) -> Float[Tensor, "m b units"]:
        """Comparison scores in evaluation mode."""

    @abc.abstractmethod
    def weights(self) -> dict[str, Tensor]:
        """Parameters and buffers, stacked over members, by their names in one network."""

    @abc.abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Copies of parameters, buffers and optimiser moments, stacked over members."""

    @abc.abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state that any engine saved."""


def belongs(name: str, parts: tuple[str, ...]) -> bool:
    """Whether a parameter lies in one of `parts`.

    >>> belongs("head.0.weight", ("head",)), belongs("header.weight", ("head",))
    (True, False)
    """
    return any(name == part or name.startswith(f"{part}.") for part in parts)


def persistent_buffers(model: nn.Module) -> dict[str, Tensor]:
    """Buffers that belong to a model's state, such as batch-norm statistics."""
    names = model.state_dict().keys()
    return {name: buffer for name, buffer in model.named_buffers() if name in names}
