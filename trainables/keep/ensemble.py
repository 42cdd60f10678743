"""Ensembles: the models of a trial's folds as one model, whose predictions are averaged."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from trainables.keep.network import Predictor, tensor_of

PREFIX = "members."
"""Prefix of the names of all members' learnt values."""


def averaged(members: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Combine the predictions of n rows by several models.

    Values and probabilities are averaged. The answer is the class with the highest averaged
    probability; without probabilities it is the most frequent class, or the first of several.

    Args:
        members: Predictions of each model by name, each (n, ...).
    """
    if len(members) == 1:
        return dict(members[0])
    found = {}
    for name in members[0]:
        if name == "answer" and "probability" in members[0]:
            found[name] = torch.stack([m["probability"] for m in members]).mean(0).argmax(-1)
            continue
        each = torch.stack([member[name] for member in members])
        found[name] = each.mean(0) if each.is_floating_point() else each.mode(0).values
    return found


def averaged_arrays(members: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Combine predictions given as arrays, see `averaged`."""
    tensors = [{name: tensor_of(array) for name, array in m.items()} for m in members]
    return {name: tensor.numpy() for name, tensor in averaged(tensors).items()}


class Ensemble(nn.Module):
    """Module that maps raw inputs to averaged predictions of several networks, see `Predictor`."""

    def __init__(self, members: Sequence[Predictor]):
        super().__init__()
        self.members = nn.ModuleList(members)
        self.inputs = members[0].inputs

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Predictions of n rows, each (n, ...)."""
        return tuple(self.named(*inputs).values())

    def named(self, *inputs: Tensor) -> dict[str, Tensor]:
        """Predictions of n rows by name."""
        return averaged([member.named(*inputs) for member in self._predictors])

    def values(self) -> dict[str, Tensor]:
        """All learnt values of the members, by name."""
        return {
            f"{PREFIX}{i}.{name}": value
            for i, member in enumerate(self._predictors)
            for name, value in member.values().items()
        }

    @property
    def _predictors(self) -> list[Predictor]:
        return [member for member in self.members if isinstance(member, Predictor)]


def members_of(kept: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
    """Each member's learnt values, from those that `Ensemble.values` returned.

    The list is empty if the values are those of a single model.

    Raises:
        ValueError: If a member is missing.
    """
    found: dict[int, dict[str, Tensor]] = {}
    for key, value in kept.items():
        if key.startswith(PREFIX):
            number, _, name = key.removeprefix(PREFIX).partition(".")
            found.setdefault(int(number), {})[name] = value
    if (
        sorted(found) != [*range(len(found))]
        or found
        and len(kept) > sum(map(len, found.values()))
    ):
        raise ValueError("parts of an ensemble are missing")
    return [found[i] for i in range(len(found))]
