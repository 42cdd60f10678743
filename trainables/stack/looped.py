"""The looped engine: one member after another in each step, in channels-last layout."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trainables.config import Precision
from trainables.stack.adam import MemberAdam
from trainables.stack.engine import (
    AbstractEngine,
    Batch,
    MemberSums,
    MemberValues,
    Sums,
    belongs,
    feed,
    persistent_buffers,
)
from trainables.stack.outputs import stacked
from trainables.stack.precision import output_in
from trainables.stack.scoring import Scorer
from trainables.tasks.task import Output


class LoopedEngine(AbstractEngine):
    """Computes one member after another.

    Best for convolutions on CPUs, which `vmap` would turn into slow grouped convolutions.
    """

    def __init__(
        self,
        models: Sequence[nn.Module],
        values: MemberValues,
        scorer: Scorer,
        noise_sizes: dict[str, int],
        precision: Precision = "float32",
    ):
        self.models = list(models)
        for model in self.models:
            model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.values = values
        self.scorer = scorer
        self.noise_sizes = noise_sizes
        self.precision = precision
        self.freeze(())

    def freeze(self, parts: tuple[str, ...]) -> None:
        for model in self.models:
            for name, p in model.named_parameters():
                p.requires_grad_(not belongs(name, parts))
        self.adams = [
            MemberAdam(model.parameters(), weight_decay=float(decay))
            for model, decay in zip(self.models, self.values.weight_decay, strict=True)
        ]

    def step(
        self, batch: Batch, lr: Float[Tensor, " m"], members: Sequence[int] | None = None
    ) -> Sums:
        """Take one optimiser step for `members` [all]; batch and learning rates are theirs."""
        chosen = range(len(self.models)) if members is None else members
        sums = []
        for i, m in enumerate(chosen):
            model = self.models[m]
            if not model.training:  # `train` visits every layer: costly
                model.train()
            self._set_noise(model, None if batch.noise is None else batch.noise[i])
            loss, member = self._forward(m, i, batch, training=True)
            (loss / batch.weight[i].sum()).backward()
            self.adams[m].step(float(lr[i]))
            sums.append(member)
        return _joined(sums)

    @torch.no_grad()
    def evaluate(self, batch: Batch) -> Sums:
        sums = []
        for m, model in enumerate(self.models):
            model.eval()
            sums.append(self._forward(m, m, batch, training=False)[1])
        return _joined(sums)

    @torch.no_grad()
    def predict(self, inputs: dict[str, Tensor]) -> Output:
        return stacked([self._output(i, inputs, m.eval()) for i, m in enumerate(self.models)])

    def _forward(
        self, m: int, i: int, batch: Batch, *, training: bool
    ) -> tuple[Float[Tensor, ""], MemberSums]:
        """Loss and sums of member m, which is i-th in the batch."""
        output = self._output(i, batch.inputs, self.models[m])
        targets = {name: target[i] for name, target in batch.targets.items()}
        values = self.values.by_member[m]
        return self.scorer.sums(output, targets, batch.weight[i], values, training=training)

    def _output(self, i: int, inputs: dict[str, Tensor], model: nn.Module) -> Output:
        own = {name: _channels_last(value[i]) for name, value in inputs.items()}
        return output_in(self.precision, partial(feed, model), own)

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
        def each(moments: Iterable[Sequence[Tensor]]) -> list[Tensor]:
            """Stack one moment of every parameter over members."""
            return [torch.stack(list(of)) for of in zip(*moments, strict=True)]

        steps = [int(adam.num_steps) for adam in self.adams]
        return {
            "params": _stack_named([dict(m.named_parameters()) for m in self.models]),
            "buffers": _stack_named([persistent_buffers(m) for m in self.models]),
            "exp_avg": each(adam.exp_avg for adam in self.adams),
            "exp_avg_sq": each(adam.exp_avg_sq for adam in self.adams),
            "num_steps": steps[0] if len(set(steps)) == 1 else steps,
        }

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        for m, (model, adam) in enumerate(zip(self.models, self.adams, strict=True)):
            for name, p in model.named_parameters():
                p.copy_(state["params"][name][m])
            for name, buffer in persistent_buffers(model).items():
                buffer.copy_(state["buffers"][name][m])
            steps = state["num_steps"]  # a list, by member, if members took unequal steps
            adam.num_steps.fill_(steps[m] if isinstance(steps, list) else steps)
            for i in range(len(adam.params)):
                adam.exp_avg[i].copy_(state["exp_avg"][i][m])
                adam.exp_avg_sq[i].copy_(state["exp_avg_sq"][i][m])


def _channels_last(x: Tensor) -> Tensor:
    """Images in the layout of the networks' weights."""
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x


def _joined(sums: list[MemberSums]) -> Sums:
    return {name: torch.stack([s[name] for s in sums]) for name in sums[0]}


def _stack_named(members: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([m[name].detach() for m in members]) for name in members[0]}
