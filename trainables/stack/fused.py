"""The fused engine: all members in one call, with stacked parameters, networks and Adam."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trainables.config import Precision
from trainables.stack.adam import StackedAdam
from trainables.stack.engine import (
    AbstractEngine,
    Batch,
    MemberValues,
    Sums,
    belongs,
    persistent_buffers,
)
from trainables.stack.networks import StackedNetworks, VmappedNetworks, can_be_stacked
from trainables.stack.precision import output_in
from trainables.stack.scoring import Scorer
from trainables.tasks.task import Output


class FusedEngine(AbstractEngine):
    """Computes all members in one call.

    Best on GPUs, where small networks are bound by kernel launches, and for perceptrons.
    """

    def __init__(
        self,
        models: Sequence[nn.Module],
        values: MemberValues,
        scorer: Scorer,
        noise_sizes: dict[str, int],
        precision: Precision = "float32",
    ):
        kind = StackedNetworks if can_be_stacked(models[0]) else VmappedNetworks
        self.networks = kind(models)
        self.params, self.buffers = self.networks.params, self.networks.buffers
        self.values = values
        self.scorer = scorer
        self.noise_sizes = noise_sizes
        self.precision = precision
        self.state_names = list(persistent_buffers(models[0]))
        self.freeze(())

    def freeze(self, parts: tuple[str, ...]) -> None:
        for name, p in self.params.items():
            p.requires_grad_(not belongs(name, parts))
        self.adam = StackedAdam(list(self.params.values()), weight_decay=self.values.weight_decay)

    def step(self, batch: Batch, lr: Float[Tensor, " m"]) -> Sums:
        sums = self._differentiate(batch)
        self.adam.step(lr)
        return sums

    def train(
        self, batch: Batch, size: Float[Tensor, " m"], correction: float | Float[Tensor, ""]
    ) -> Sums:
        """Take a step of given size and correction, see `StackedAdam.advance`."""
        sums = self._differentiate(batch)
        self.adam.update(size, correction)
        return sums

    @torch.no_grad()
    def evaluate(self, batch: Batch) -> Sums:
        self._set_training(False)
        return self._forward(batch, training=False)[1]

    @torch.no_grad()
    def predict(self, inputs: dict[str, Tensor]) -> Output:
        self._set_training(False)
        return self._output(inputs, {})

    def _differentiate(self, batch: Batch) -> Sums:
        """Compute the gradients of each member's mean loss; return the sums of the batch."""
        self._set_training(True)
        loss, sums = self._forward(batch, training=True)
        (loss / batch.weight.sum(1)).sum().backward()
        return sums

    def _set_training(self, training: bool) -> None:
        if self.networks.skeleton.training != training:  # `train` visits every layer: costly
            self.networks.skeleton.train(training)

    def _forward(self, batch: Batch, *, training: bool) -> tuple[Float[Tensor, " m"], Sums]:
        output = self._output(batch.inputs, self._noise(batch.noise))
        given = (output, batch.targets, batch.weight, self.values.loss)
        return self.scorer.sums(*given, training=training)

    def _output(self, inputs: dict[str, Tensor], noise: dict[str, Tensor]) -> Output:
        return output_in(self.precision, lambda given: self.networks(given, noise), inputs)

    def _noise(self, noise: Float[Tensor, "m n"] | None) -> dict[str, Tensor]:
        if noise is None:
            return {}
        total = sum(self.noise_sizes.values())
        sizes = [size * noise.shape[1] // total for size in self.noise_sizes.values()]
        return dict(zip(self.noise_sizes, noise.split(sizes, dim=1), strict=True))

    def weights(self) -> dict[str, Tensor]:
        return {**self.params, **{name: self.buffers[name] for name in self.state_names}}

    def state_dict(self) -> dict[str, Any]:
        return {
            "params": {name: p.detach().clone() for name, p in self.params.items()},
            "buffers": {name: self.buffers[name].clone() for name in self.state_names},
            "exp_avg": [t.clone() for t in self.adam.exp_avg],
            "exp_avg_sq": [t.clone() for t in self.adam.exp_avg_sq],
            "num_steps": self.adam.num_steps,
        }

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, p in self.params.items():
            p.copy_(state["params"][name])
        for name in self.state_names:
            self.buffers[name].copy_(state["buffers"][name])
        for mine, theirs in zip(self.adam.exp_avg, state["exp_avg"], strict=True):
            mine.copy_(theirs)
        for mine, theirs in zip(self.adam.exp_avg_sq, state["exp_avg_sq"], strict=True):
            mine.copy_(theirs)
        self.adam.num_steps = state["num_steps"]
