"""A trained network between raw images and probabilities, as one module of torch."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trainables.backprop.sequential import Sequential
from trainables.config import TrialConfig
from trainables.models.backprop import as_torch
from trainables.models.digit import at_most
from trainables.models.layers import Scores
from trainables.stack.engine import persistent_buffers
from trainables.variants import Variant


class PairClassifier(nn.Module):
    """A trained network between raw images and probabilities.

    The probabilities are those that the loss is about. Where it is about none, as the contrastive
    and the squared one, they say on which side of 0.5 the decision is, and no more. A network that
    only names digits is asked for the probability that its names are in order.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, *, mean: float, std: float, names_only: bool):
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(mean))
        self.register_buffer("std", torch.tensor(std))
        self.names_only = names_only
        self.eval().requires_grad_(False)

    def forward(self, images: Float[Tensor, "n 2 h w"]) -> tuple[Tensor, ...]:
        """Probability of each pair, shape (n,); where there are digits theirs too, (n, 2, 10)."""
        scores = self.network((images - self.mean) / self.std)
        digits = () if scores.digits is None else (scores.digits.softmax(-1),)
        if self.names_only:
            return at_most(*digits), *digits
        # one unit or the difference of two, without asking which: tracing records no questions
        logit = scores.comparison[:, -1] - scores.comparison[:, :-1].sum(1)
        return logit.sigmoid(), *digits

    def values(self) -> dict[str, Tensor]:
        """Everything that was learnt, shared weights once."""
        return dict(self.named_parameters()) | persistent_buffers(self)


class _Scored(nn.Module):
    """A network of the library without autograd, as one of torch that gives `Scores`."""

    def __init__(self, network: Sequential):
        super().__init__()
        self.layers = as_torch(network)

    def forward(self, pair: Float[Tensor, "n 2 h w"]) -> Scores:
        return Scores(self.layers(pair.flatten(1)))


def network_of(
    variant: Variant, config: TrialConfig, weights: Mapping[str, Tensor] | None = None
) -> nn.Module:
    """A variant's network in torch, with the weights that a stack gives where there are some.

    Raises:
        ValueError: If the weights are those of another network.
    """
    network = variant.model(config)
    if isinstance(network, Sequential):
        if weights is not None:
            network.load_state_dict(weights)
        return _Scored(network)
    if weights is not None:
        fill(dict(network.named_parameters()) | persistent_buffers(network), weights)
    return network


@torch.no_grad()
def fill(tensors: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    """Copy values into the tensors of the same names.

    Raises:
        ValueError: If names or shapes differ.
    """
    shapes = {name: tuple(t.shape) for name, t in tensors.items()}
    given = {name: tuple(t.shape) for name, t in values.items()}
    for name in sorted(shapes.keys() | given.keys()):
        if shapes.get(name) != given.get(name):
            raise ValueError(
                f"{name} must have the shape {shapes.get(name)}, but has {given.get(name)}"
            )
    for name, tensor in tensors.items():
        tensor.copy_(values[name])
