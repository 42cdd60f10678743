"""The engine of `trainables.backprop`, the library without autograd.

All members are one network with a leading member axis.
"""

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
from trainables.stack.engine import AbstractEngine, Batch, MemberValues, Sums
from trainables.stack.scoring import LOSS, Scorer


class HandwrittenEngine(AbstractEngine):
    """Computes all members in one forward and backward pass of plain batched matrix products.

    Raises:
        ValueError: If members differ in criterion or optimiser.
    """

    def __init__(
        self,
        networks: Sequence[Sequential],
        values: MemberValues,
        scorer: Scorer,
        configs: Sequence[TrialConfig],
    ):
        first = configs[0]
        assert isinstance(first, BackpropConfig)
        if any(_kind(config) != _kind(first) for config in configs):
            raise ValueError("members of one stack must share criterion and optimiser")
        self.network = Sequential.stack(networks)
        self.values = values
        self.scorer = scorer
        self.criterion = CRITERIA[first.criterion]()
        self.optimiser = OPTIMISERS[first.optimiser]()

    def freeze(self, parts: tuple[str, ...]) -> None:
        assert not parts, "these networks are trained in one phase"

    def step(self, batch: Batch, lr: Float[Tensor, " m"]) -> Sums:
        self.network.train()
        sums = self._forward(batch, training=True)
        self.network.backward(self.criterion.backward())
        self.network.step(self.optimiser, lr, self.values.weight_decay)
        return sums

    def evaluate(self, batch: Batch) -> Sums:
        self.network.eval()
        return self._forward(batch, training=False)

    def predict(self, inputs: dict[str, Tensor]) -> Float[Tensor, "m b units"]:
        self.network.eval()
        return self.network.forward(_flat(inputs))

    def _forward(self, batch: Batch, *, training: bool) -> Sums:
        scores = self.network.forward(_flat(batch.inputs))
        target = batch.targets[self.scorer.task.target]
        loss = self.criterion.forward(scores, target, batch.weight)
        measured = self.scorer.measured(scores, batch.targets, batch.weight, training=training)
        return {LOSS: loss * batch.weight.sum(1), **measured}

    def weights(self) -> dict[str, Tensor]:
        return self.network.state_dict()

    def state_dict(self) -> dict[str, Any]:
        return {"network": self.network.state_dict(), "optimiser": self.optimiser.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])


def _flat(inputs: dict[str, Tensor]) -> Float[Tensor, "m b f"]:
    parts = [value.flatten(2) for value in inputs.values()]
    return parts[0] if len(parts) == 1 else torch.cat(parts, 2)


def _kind(config: TrialConfig) -> tuple[str, str]:
    """Criterion and optimiser, which members of a stack must share besides shapes."""
    assert isinstance(config, BackpropConfig)
    return config.criterion, config.optimiser
