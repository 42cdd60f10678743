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

    def __add__(self, other: "Totals") -> "Totals":
        return Totals(
            loss=self.loss + other.loss,
            hits=self.hits + other.hits,
            digit_hits=self.digit_hits + other.digit_hits,
        )


@dataclass(frozen=True, kw_only=True)
class MemberVectors:
    """The hyperparameters that do not change shapes, one value for each member."""

    weight_decay: Float[Tensor, " m"]
    main_weight: Float[Tensor, " m"]
    aux_weight: Float[Tensor, " m"]
    label_smoothing: Float[Tensor, " m"]

    @classmethod
    def of(cls, configs: Sequence[TrialConfig], device: torch.device) -> "MemberVectors":
        """Collect the vectors from the members' configurations."""
        names = ("weight_decay", "main_weight", "aux_weight", "label_smoothing")
        return cls(
            **{
                name: torch.tensor([float(getattr(c, name)) for c in configs], device=device)
                for name in names
            }
        )

    @property
    def loss_weights(self) -> tuple[Tensor, Tensor, Tensor]:
        """What `batch_sums` takes."""
        return self.main_weight, self.aux_weight, self.label_smoothing


class AbstractEngine(abc.ABC):
    """Computes members' batches in one way or another; all ways give the same numbers.

    State is stacked over members under the same names in every engine, so that what one saved
    another can load.
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
    def state_dict(self) -> dict[str, Any]:
        """Copies of parameters, buffers and optimiser moments, stacked over members."""

    @abc.abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state that any engine saved."""


def persistent_buffers(model: nn.Module) -> dict[str, Tensor]:
    """Buffers that belong to a model's state, such as batch-norm statistics."""
    names = model.state_dict().keys()
    return {name: buffer for name, buffer in model.named_buffers() if name in names}
