"""Layers that the families of networks share."""

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
    """Dropout whose rate is a buffer, so that each stacked member can have its own rate.

    The layer draws uniform noise, unless the caller has filled the buffer `noise` for this batch.
    With the buffer, each of several stacked networks gets the noise that it would draw alone.
    Zeroed units and the scale 1 / (1 - rate) are those of `torch.nn.Dropout`; with `channelwise`
    whole channels are dropped, as in `torch.nn.Dropout2d`.
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
        # one rate, or one per stacked member
        rate = self.rate.view(*self.rate.shape, *(1 for _ in shape[self.rate.ndim :]))
        return x * ((noise >= rate) / (1.0 - rate))


def dropout_layers(rate: float, *, channelwise: bool = False) -> list[nn.Module]:
    """Return a list with one dropout layer; an empty list if the rate is 0."""
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
    """Build hidden layers, each of linear, batch-norm, activation and dropout.

    Args:
        num_inputs: Number of input features.
        widths: Units of each layer; empty for the identity.
        activation: Activation of each layer.
        dropout: Dropout rate after each activation.
        dropout_first: Dropout before each activation instead of after it.
        batch_norm: Batch-norm before each activation.
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
    """Return the width of each layer.

    Args:
        widths: Width of the first layer, or a tuple of all widths, which is returned unchanged.
        repeat: Number of layers, if `widths` is a number.
        factor: Width of each further layer as a multiple of the one before.

    Raises:
        UserError: If there are more than `MOST_LAYERS` layers.
    """
    layers = repeat if isinstance(widths, int) else len(widths)
    if layers > MOST_LAYERS:
        raise UserError.of("layers.too-many", layers=brief(layers), most=MOST_LAYERS)
    if isinstance(widths, int):
        return tuple(widths * factor**i for i in range(repeat))
    return widths


def num_params(model: nn.Module) -> int:
    """Number of trainable parameters; shared parameters are counted once."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
