"""The rows of a stack on its device, and each member's preprocessing and augmentation of them.

Legend of shapes: m members, n rows, b rows in a batch.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from trainables.config import TrialConfig
from trainables.data.standardise import constants
from trainables.stack.engine import Batch
from trainables.tasks.samples import Samples
from trainables.tasks.task import Task


class MemberRows:
    """Inputs and targets of all rows, and each member's preprocessing of them.

    Everything that is fitted is fitted on a member's training rows alone. Standardising is done
    batch by batch, since augmentation of images comes before it; a table is encoded once for each
    member.

    Attributes:
        constants: Mean and standard deviation of each standardised input, (m, 1, ...).
        encoders: Fitted encoder of each member; empty if the task has none.
        statistics: Statistics that the task computed from each member's training rows, for loss
            and predictions.
    """

    def __init__(
        self,
        task: Task,
        samples: Samples,
        train: Sequence[Int[np.ndarray, " t"]],
        configs: Sequence[TrialConfig],
        device: torch.device,
    ):
        self.augment = task.augment
        self.num_members = len(train)
        self.constants: dict[str, tuple[Tensor, Tensor]] = {}
        self.encoders: list[nn.Module] = []
        self.statistics: list[Mapping[str, Any]] = [{} for _ in train]
        if task.statistics is not None:
            self.statistics = [task.statistics(samples.take(rows)) for rows in train]
        inputs = {name: _tensor(array, device) for name, array in samples.inputs.items()}
        self.targets = {name: _tensor(array, device) for name, array in samples.targets.items()}
        self.per_member: dict[str, Float[Tensor, "mn ..."]] = {}
        """Encoded inputs of all members, concatenated along the rows."""
        self.shared: dict[str, Tensor] = inputs
        if task.encode is not None:
            raw = {name: torch.as_tensor(array) for name, array in samples.inputs.items()}
            self.encoders = [task.encode.fit(samples.take(rows)) for rows in train]
            with torch.no_grad():
                encoded = [encoder(raw) for encoder in self.encoders]
            self.per_member = {
                k: torch.cat([e[k] for e in encoded]).to(device) for k in encoded[0]
            }
            self.shared = {}
        for name, how in task.standardise.items():
            self.shared[name] = self.shared[name].float()
            fitted = [constants(samples.inputs[name][rows], how) for rows in train]
            self.constants[name] = tuple(
                torch.tensor(np.stack(part), dtype=torch.float32, device=device).unsqueeze(1)
                for part in zip(*fitted, strict=True)
            )  # type: ignore[assignment]
        self.num_rows = len(samples)
        self.offsets = torch.arange(self.num_members, device=device).unsqueeze(1) * self.num_rows
        self.amounts = _amounts(self.augment.fields if self.augment else (), configs, device)
        self.augments = any(bool((amount > 0).any()) for amount in self.amounts.values())

    @property
    def draws(self) -> int:
        """Number of random numbers that augmenting one row takes; 0 if no member augments."""
        if self.augment is None or not self.augments:
            return 0
        return self.augment.numbers({k: tuple(v.shape[1:]) for k, v in self.shared.items()})

    def two(self) -> dict[str, Tensor]:
        """Two rows in the shape of a network's inputs, for passes that only look at shapes."""
        source = self.per_member if self.per_member else self.shared
        return {name: value[:2] for name, value in source.items()}

    def batch(
        self,
        index: Int[Tensor, "m b"],
        weight: Float[Tensor, "m b"],
        move: Float[Tensor, "m k"] | None = None,
        noise: Float[Tensor, "m n"] | None = None,
        members: Sequence[int] | None = None,
    ) -> Batch:
        """Gather rows, augment them and standardise them.

        Args:
            index: Rows of each member.
            weight: 1, or 0 for padding.
            move: Random numbers in [0, 1) for the augmentation; None for no augmentation.
            noise: Noise for dropout layers.
            members: Members that the rows of `index` belong to [all].
        """
        inputs = self.inputs(index, members)
        if move is not None and self.augment is not None:
            amounts = {name: _of(amount, members) for name, amount in self.amounts.items()}
            inputs = self.augment(inputs, move, amounts)
        return Batch(
            inputs=self._standardised(inputs, members),
            targets={name: target[index] for name, target in self.targets.items()},
            weight=weight,
            noise=noise,
        )

    def inputs(
        self, index: Int[Tensor, "m b"], members: Sequence[int] | None = None
    ) -> dict[str, Tensor]:
        """Rows of each member, (m, b, ...), not yet standardised."""
        # `index_select` copies each row as one block; indexing with two axes does not
        gathered = {
            name: value.index_select(0, index.flatten()).unflatten(0, index.shape)
            for name, value in self.shared.items()
        }
        if self.per_member:
            places = (index + _of(self.offsets, members)).flatten()
            gathered |= {
                name: value.index_select(0, places).unflatten(0, index.shape)
                for name, value in self.per_member.items()
            }
        return gathered

    def standardised(self, index: Int[Tensor, "m b"]) -> dict[str, Tensor]:
        """Rows of each member, (m, b, ...), as its network gets them in evaluation mode."""
        return self._standardised(self.inputs(index), None)

    def _standardised(
        self, inputs: dict[str, Tensor], members: Sequence[int] | None
    ) -> dict[str, Tensor]:
        for name, (mean, std) in self.constants.items():
            inputs[name] = inputs[name].sub_(_of(mean, members)).div_(_of(std, members))
        return inputs


def _of(values: Tensor, members: Sequence[int] | None) -> Tensor:
    """Values of some members; None means all, and saves every batch an operation."""
    return values if members is None else values[list(members)]


def _tensor(array: np.ndarray, device: torch.device) -> Tensor:
    """The array on a device: floats as float32, integers as int64, bytes and booleans as given."""
    kind = torch.float32 if array.dtype.kind == "f" else None
    if array.dtype.kind in "ui" and array.dtype.itemsize > 1:
        kind = torch.int64
    return torch.tensor(array, dtype=kind, device=device)


def _amounts(
    names: Sequence[str], configs: Sequence[TrialConfig], device: torch.device
) -> dict[str, Float[Tensor, "m 1 1"]]:
    """Each member's amounts of augmentation; 0 if its configuration has no such field."""
    return {
        name: torch.tensor(
            [float(getattr(config, name, 0.0)) for config in configs], device=device
        ).view(-1, 1, 1)
        for name in names
    }
