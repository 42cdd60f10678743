"""Member after member inside each step, channels-last."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trainables.config import Precision
from trainables.losses import batch_sums
from trainables.stack.adam import MemberAdam
from trainables.stack.engine import (
    AbstractEngine,
    Batch,
    MemberVectors,
    Totals,
    belongs,
    persistent_buffers,
)
from trainables.stack.precision import scores_in


class LoopedEngine(AbstractEngine):
    """Best for convolutions on CPUs, which `vmap` would turn into slow grouped ones."""

    def __init__(
        self,
        models: Sequence[nn.Module],
        vectors: MemberVectors,
        noise_sizes: dict[str, int],
        precision: Precision = "float32",
    ):
        self.models = list(models)
        for model in self.models:
            model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.vectors = vectors
        self.noise_sizes = noise_sizes
        self.precision = precision
        self.freeze(())

    def freeze(self, parts: tuple[str, ...]) -> None:
        for model in self.models:
            for name, p in model.named_parameters():
                p.requires_grad_(not belongs(name, parts))
        self.adams = [
            MemberAdam(model.parameters(), weight_decay=float(decay))
            for model, decay in zip(self.models, self.vectors.weight_decay, strict=True)
        ]

    def step(self, batch: Batch, lr: Float[Tensor, " m"]) -> Totals:
        totals = []
        for m, (model, adam) in enumerate(zip(self.models, self.adams, strict=True)):
            if not model.training:  # it goes through all layers
                model.train()
            self._set_noise(model, None if batch.noise is None else batch.noise[m])
            loss, member = self._forward(m, batch)
            (loss / batch.weight[m].sum()).backward()
            adam.step(float(lr[m]))
            totals.append(member)
        return _joined(totals)

    @torch.no_grad()
    def evaluate(self, batch: Batch) -> Totals:
        totals = []
        for m, model in enumerate(self.models):
            model.eval()
            totals.append(self._forward(m, batch)[1])
        return _joined(totals)

    @torch.no_grad()
    def predict(self, images: Float[Tensor, "m b 2 h w"]) -> Float[Tensor, "m b units"]:
        answers = []
        for model, x in zip(self.models, images, strict=True):
            x = x.contiguous(memory_format=torch.channels_last)  # rounds as `evaluate` does
            answers.append(scores_in(self.precision, model.eval(), x).comparison)
        return torch.stack(answers)

    def _forward(self, m: int, batch: Batch) -> tuple[Float[Tensor, ""], Totals]:
        images = batch.images[m].contiguous(memory_format=torch.channels_last)
        scores = scores_in(self.precision, self.models[m], images)
        main_weight, aux_weight, label_smoothing = self.vectors.loss_weights
        loss, hits, digit_hits, digit_loss = batch_sums(
            scores,
            batch.classes[m],
            batch.target[m],
            batch.weight[m],
            (main_weight[m], aux_weight[m], label_smoothing[m]),
        )
        return loss, Totals(
            loss=loss.detach().view(1),
            hits=hits.view(1),
            digit_hits=digit_hits.view(1),
            digit_loss=digit_loss.view(1),
        )

    def _set_noise(self, model: nn.Module, noise: Float[Tensor, " n"] | None) -> None:
        if noise is None:
            return
        total = sum(self.noise_sizes.values())
        start = 0
        for name, size in self.noise_sizes.items():
            stop = start + size * len(noise) // total
            layer, _, buffer = name.rpartition(".")
            setattr(model.get_submodule(layer), buffer, noise[start:stop])
            start = stop

    def weights(self) -> dict[str, Tensor]:
        members = [dict(m.named_parameters()) | persistent_buffers(m) for m in self.models]
        return _stack_named(members)

    def state_dict(self) -> dict[str, Any]:
        def stacked(moments: Iterable[Sequence[Tensor]]) -> list[Tensor]:
            """A moment of every parameter."""
            return [torch.stack(list(of)) for of in zip(*moments, strict=True)]

        return {
            "params": _stack_named([dict(m.named_parameters()) for m in self.models]),
            "buffers": _stack_named([persistent_buffers(m) for m in self.models]),
            "exp_avg": stacked(adam.exp_avg for adam in self.adams),
            "exp_avg_sq": stacked(adam.exp_avg_sq for adam in self.adams),
            "num_steps": int(self.adams[0].num_steps),
        }

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        for m, (model, adam) in enumerate(zip(self.models, self.adams, strict=True)):
            for name, p in model.named_parameters():
                p.copy_(state["params"][name][m])
            for name, buffer in persistent_buffers(model).items():
                buffer.copy_(state["buffers"][name][m])
            adam.num_steps.fill_(state["num_steps"])
            for i in range(len(adam.params)):
                adam.exp_avg[i].copy_(state["exp_avg"][i][m])
                adam.exp_avg_sq[i].copy_(state["exp_avg_sq"][i][m])


def _joined(totals: list[Totals]) -> Totals:
    return Totals(
        loss=torch.cat([t.loss for t in totals]),
        hits=torch.cat([t.hits for t in totals]),
        digit_hits=torch.cat([t.digit_hits for t in totals]),
        digit_loss=torch.cat([t.digit_loss for t in totals]),
    )


def _stack_named(members: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([m[name].detach() for m in members]) for name in members[0]}
