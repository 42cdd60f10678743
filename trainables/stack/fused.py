"""All members in one call: stacked parameters, stacked networks, stacked Adam."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trainables.config import Precision
from trainables.losses import batch_sums
from trainables.stack.adam import StackedAdam
from trainables.stack.engine import (
    AbstractEngine,
    Batch,
    MemberVectors,
    Totals,
    belongs,
    persistent_buffers,
)
from trainables.stack.networks import StackedNetworks, VmappedNetworks, can_be_stacked
from trainables.stack.precision import scores_in


class FusedEngine(AbstractEngine):
    """Best on GPUs, where small networks are bound by kernel launches, and for perceptrons."""

    def __init__(
        self,
        models: Sequence[nn.Module],
        vectors: MemberVectors,
        noise_sizes: dict[str, int],
        precision: Precision = "float32",
    ):
        kind = StackedNetworks if can_be_stacked(models[0]) else VmappedNetworks
        self.networks = kind(models)
        self.params, self.buffers = self.networks.params, self.networks.buffers
        self.vectors = vectors
        self.noise_sizes = noise_sizes
        self.precision = precision
        self.state_names = list(persistent_buffers(models[0]))
        self.freeze(())

    def freeze(self, parts: tuple[str, ...]) -> None:
        for name, p in self.params.items():
            p.requires_grad_(not belongs(name, parts))
        self.adam = StackedAdam(list(self.params.values()), weight_decay=self.vectors.weight_decay)

    def step(self, batch: Batch, lr: Float[Tensor, " m"]) -> Totals:
        totals = self._differentiate(batch)
        self.adam.step(lr)
        return totals

    def train(
        self, batch: Batch, size: Float[Tensor, " m"], correction: float | Float[Tensor, ""]
    ) -> Totals:
        """A step whose size and correction are known, see `StackedAdam.advance`."""
        totals = self._differentiate(batch)
        self.adam.update(size, correction)
        return totals

    @torch.no_grad()
    def evaluate(self, batch: Batch) -> Totals:
        self._set_training(False)
        return self._forward(batch)[1]

    @torch.no_grad()
    def predict(self, images: Float[Tensor, "m b 2 h w"]) -> Float[Tensor, "m b units"]:
        self._set_training(False)
        return scores_in(self.precision, self.networks, images, {}).comparison

    def _differentiate(self, batch: Batch) -> Totals:
        """Fill in the gradients of each member's mean loss."""
        self._set_training(True)
        loss, totals = self._forward(batch)
        (loss / batch.weight.sum(1)).sum().backward()
        return totals

    def _set_training(self, training: bool) -> None:
        if self.networks.skeleton.training != training:  # it goes through all layers
            self.networks.skeleton.train(training)

    def _forward(self, batch: Batch) -> tuple[Float[Tensor, " m"], Totals]:
        loss, hits, digit_hits, digit_loss = batch_sums(
            scores_in(self.precision, self.networks, batch.images, self._noise(batch.noise)),
            batch.classes,
            batch.target,
            batch.weight,
            self.vectors.loss_weights,
        )
        return loss, Totals(
            loss=loss.detach(), hits=hits, digit_hits=digit_hits, digit_loss=digit_loss
        )

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
