"""Members of the library without autograd: one network with a leading member axis."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from trainables.backprop.losses import CRITERIA
from trainables.backprop.optimisers import OPTIMISERS
from trainables.backprop.sequential import Sequential
from trainables.config import TrialConfig
from trainables.models.backprop import BackpropConfig
from trainables.stack.engine import AbstractEngine, Batch, MemberVectors, Totals


class HandwrittenEngine(AbstractEngine):
    """All members in one pass of plain batched matrix products, forward and backward.

    Raises:
        ValueError: If members differ in criterion or optimiser.
    """

    def __init__(
        self,
        networks: Sequence[Sequential],
        vectors: MemberVectors,
        configs: Sequence[TrialConfig],
    ):
        first = configs[0]
        assert isinstance(first, BackpropConfig)
        if any(_kind(config) != _kind(first) for config in configs):
            raise ValueError("members of one stack must share criterion and optimiser")
        self.network = Sequential.stack(networks)
        self.vectors = vectors
        self.criterion = CRITERIA[first.criterion]()
        self.optimiser = OPTIMISERS[first.optimiser]()

    def freeze(self, parts: tuple[str, ...]) -> None:
        assert not parts, "these networks are trained in one phase"

    def step(self, batch: Batch, lr: Float[Tensor, " m"]) -> Totals:
        self.network.train()
        totals = self._forward(batch)
        self.network.backward(self.criterion.backward())
        self.network.step(self.optimiser, lr, self.vectors.weight_decay)
        return totals

    def evaluate(self, batch: Batch) -> Totals:
        self.network.eval()
        return self._forward(batch)

    def predict(self, images: Float[Tensor, "m b 2 h w"]) -> Float[Tensor, "m b units"]:
        self.network.eval()
        return self.network.forward(images.flatten(2))

    def _forward(self, batch: Batch) -> Totals:
        scores = self.network.forward(batch.images.flatten(2))
        loss = self.criterion.forward(scores, batch.target, batch.weight)
        hits = ((scores.argmax(2) == batch.target) * batch.weight).sum(1)
        none = torch.zeros_like(hits)
        return Totals(loss=loss * batch.weight.sum(1), hits=hits, digit_hits=none, digit_loss=none)

    def weights(self) -> dict[str, Tensor]:
        return self.network.state_dict()

    def state_dict(self) -> dict[str, Any]:
        return {"network": self.network.state_dict(), "optimiser": self.optimiser.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])


def _kind(config: TrialConfig) -> tuple[str, str]:
    """What members of a stack must share besides shapes."""
    assert isinstance(config, BackpropConfig)
    return config.criterion, config.optimiser
