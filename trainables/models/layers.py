"""The parts that the families share."""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from foldsweep.checks import brief
from foldsweep.errors import UserError

Activation = Literal["relu", "leaky_relu"]
ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "leaky_relu": nn.LeakyReLU}

Widths = int | tuple[int, ...]
MOST_LAYERS = 1000


class Dropout(nn.Module):
    """Dropout whose rate is a buffer, so that stacked members may each have their own.

    The uniform noise is drawn here, as in any dropout, unless somebody has filled the buffer
    `noise` for this batch: then several copies of a network can be given the noise that each would
    have drawn alone. Zeroed units and the scale 1 / (1 - rate) are those of `torch.nn.Dropout`;
    with `channelwise` whole channels are dropped, as in `torch.nn.Dropout2d`.
    """

    rate: Tensor
    noise: Tensor

    def __init__(self, rate: float, *, channelwise: bool = False):
        super().__init__()
        self.channelwise = channelwise
        self.register_buffer("rate", torch.tensor(float(rate)), persistent=False)
        self.register_buffer("noise", torch.empty(0), persistent=False)

    def noise_shape(self, shape: torch.Size) -> torch.Size:
        """Shape of the noise for an input of `shape`."""
        return torch.Size([*shape[:2], *(1 for _ in shape[2:])]) if self.channelwise else shape

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        if not self.training:
            return x
        shape = self.noise_shape(x.shape)
        drawn = self.noise.numel() > 0
        noise = self.noise.view(shape) if drawn else torch.rand(shape, device=x.device)
        # one rate, or one for each member where they are stacked
        rate = self.rate.view(*self.rate.shape, *(1 for _ in shape[self.rate.ndim :]))
        return x * ((noise >= rate) / (1.0 - rate))


def dropout_layers(rate: float, *, channelwise: bool = False) -> list[nn.Module]:
    """A dropout layer, or none where the rate is 0."""
    return [Dropout(rate, channelwise=channelwise)] if rate > 0 else []


def dense_layers(
    num_inputs: int,
    widths: Sequence[int],
    *,
    activation: Activation = "relu",
    dropout: float = 0.0,
    dropout_first: bool = False,
    batch_norm: bool = False,
) -> nn.Sequential:
    """Hidden linear layers: linear, batch-norm, activation, dropout.

    Args:
        num_inputs: Features that come in.
        widths: Units of each layer; empty gives an identity.
        activation: Hidden activation.
        dropout: Rate after each activation.
        dropout_first: Drop before the activation instead of after it.
        batch_norm: Normalise before each activation.
    """
    layers: list[nn.Module] = []
    for before, after in zip((num_inputs, *widths), widths, strict=False):
        norm = [nn.BatchNorm1d(after)] if batch_norm else []
        tail = [ACTIVATIONS[activation](), *dropout_layers(dropout)]
        if dropout_first:
            tail.reverse()
        layers += [nn.Linear(before, after), *norm, *tail]
    return nn.Sequential(*layers)


def widths_of(widths: Widths, *, repeat: int = 1, factor: int = 1) -> tuple[int, ...]:
    """Exact widths: a tuple as is, a number as first of `repeat`, each `factor` times wider.

    Raises:
        UserError: If there are more layers than can be meant.
    """
    layers = repeat if isinstance(widths, int) else len(widths)
    if layers > MOST_LAYERS:
        raise UserError(f"{brief(layers)} layers are too many: choose at most {MOST_LAYERS}")
    if isinstance(widths, int):
        return tuple(widths * factor**i for i in range(repeat))
    return widths


def num_params(model: nn.Module) -> int:
    """Learnable numbers, shared ones counted once."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
