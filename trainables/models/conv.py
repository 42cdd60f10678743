"""Convolutional trunks, and the family that sees the pair as two channels."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from foldsweep.errors import UserError
from trainables.config import TrialConfig
from trainables.models.layers import (
    ACTIVATIONS,
    Activation,
    Scores,
    Widths,
    dense_layers,
    dropout_layers,
    widths_of,
)

BatchNormPlace = Literal["none", "before", "after"]
DropoutBlocks = Literal["all", "last"]
IMAGE_SIZE = 14


@dataclass(frozen=True, kw_only=True)
class ConvConfig(TrialConfig):
    """Convolution blocks, then linear layers."""

    channels: Widths = 32
    """Channels of the first block, doubled in each further one of `conv_layers`, or exact ones."""
    conv_layers: int = 2
    kernel: Widths = 3
    """Side of every kernel, or one for each block."""
    padding: int = 0
    """Zeros around the image before each convolution."""
    pooled: int | None = None
    """How many blocks, from the first, end in a 2x2 max-pool; None for all."""
    batch_norm: BatchNormPlace = "none"
    """Batch-norm before or after each block's activation."""
    activation: Activation = "relu"
    channel_dropout: bool = False
    """Blocks drop whole channels instead of single units."""
    dropout_blocks: DropoutBlocks = "all"
    """Drop after every block, or after the last one only."""
    hidden: Widths = 64
    """Hidden units after the blocks: a number for each of `hidden_layers`, or exact widths."""
    hidden_layers: int = 1
    outputs: int = 2
    """2 units with cross-entropy or 1 with binary cross-entropy."""
    squash: bool = False
    """Sigmoid before the two-unit cross-entropy, as some reports have it; damps the gradients."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("channels", "kernel", "hidden"):
            widths = widths_of(getattr(self, name))
            self.require(name, min(widths, default=1) >= 1, "at least 1")
        for name in ("conv_layers", "padding", "hidden_layers"):
            self.require(name, getattr(self, name) >= 0, "at least 0")
        self.require(
            "outputs",
            self.outputs == 2 or (self.outputs == 1 and not self.squash),
            "2, or 1 without squash",
        )

    @property
    def block_dropout(self) -> tuple[float, ...]:
        """Dropout rate after each block."""
        blocks = len(self.block_channels)
        silent = 0 if self.dropout_blocks == "all" else blocks - 1
        return (0.0,) * silent + (self.dropout,) * (blocks - silent)

    @property
    def block_channels(self) -> tuple[int, ...]:
        """Channels of each block."""
        return widths_of(self.channels, repeat=self.conv_layers, factor=2)

    @property
    def hidden_widths(self) -> tuple[int, ...]:
        """Units of each linear layer after the blocks."""
        return widths_of(self.hidden, repeat=self.hidden_layers)


def conv_trunk(config: ConvConfig, in_channels: int) -> nn.Sequential:
    """The blocks; what comes out are channels of images.

    A block is convolution, batch-norm, pool, activation, dropout; pooling first is the same as
    pooling last for a rising activation, and cheaper. With batch-norm after the activation the
    pool follows the batch-norm, since there the order matters.

    Raises:
        UserError: If the image becomes too small for a kernel or a pool.
    """
    channels = config.block_channels
    kernels = widths_of(config.kernel, repeat=len(channels))
    pooled = len(channels) if config.pooled is None else config.pooled
    if len(kernels) != len(channels):
        raise UserError(f"kernel must have {len(channels)} sizes, but is {config.kernel}")
    layers: list[nn.Module] = []
    size = IMAGE_SIZE
    for i, (before, after, kernel) in enumerate(
        zip((in_channels, *channels), channels, kernels, strict=False)
    ):
        size = size + 2 * config.padding - kernel + 1
        pool = [nn.MaxPool2d(2)] if i < pooled else []
        activation = ACTIVATIONS[config.activation]()
        norm = nn.BatchNorm2d(after)
        middle = {
            "none": [*pool, activation],
            "before": [norm, *pool, activation],
            "after": [activation, norm, *pool],
        }[config.batch_norm]
        drop = dropout_layers(config.block_dropout[i], channelwise=config.channel_dropout)
        layers += [nn.Conv2d(before, after, kernel, padding=config.padding), *middle, *drop]
        size = size // 2 if pool else size
        if size < 1:
            raise UserError(
                f"block {i + 1} of channels={config.channels}, kernel={config.kernel},"
                f" padding={config.padding} leaves no image; use fewer blocks or smaller kernels"
            )
    return nn.Sequential(*layers)


def trunk_features(trunk: nn.Module, in_channels: int) -> int:
    """Length of the flattened vector that `trunk` makes of an image."""
    was_training = trunk.training
    with torch.no_grad():
        out = trunk.eval()(torch.zeros(1, in_channels, IMAGE_SIZE, IMAGE_SIZE))
    trunk.train(was_training)
    return out.numel()


@dataclass(frozen=True, kw_only=True)
class PairConvConfig(ConvConfig):
    """The pair as two channels."""

    output_kernel: int | None = None
    """No linear layers: the scores are a last convolution with this kernel, averaged over the
    positions that it has."""

    def __post_init__(self) -> None:
        super().__post_init__()
        kernel = self.output_kernel
        self.require("output_kernel", kernel is None or kernel >= 1, "at least 1")


class ConvNet(nn.Module):
    """Blocks on the pair as two channels, hidden layers, scores.

    Raises:
        UserError: If the image becomes too small for a kernel or a pool.
    """

    def __init__(self, config: PairConvConfig):
        super().__init__()
        self.trunk = conv_trunk(config, 2)
        features = trunk_features(self.trunk, 2)
        channels = (2, *config.block_channels)[-1]
        if config.output_kernel is None:
            hidden = dense_layers(
                features,
                config.hidden_widths,
                activation=config.activation,
                dropout=config.dropout,
            )
            self.output: nn.Module = nn.Sequential(
                nn.Flatten(),
                hidden,
                nn.Linear((features, *config.hidden_widths)[-1], config.outputs),
            )
        else:
            size = math.isqrt(features // channels)
            config.require(
                "output_kernel",
                config.output_kernel <= size,
                f"at most {size}, the size of what the blocks leave",
            )
            self.output = nn.Sequential(
                nn.Conv2d(channels, config.outputs, config.output_kernel),
                nn.AdaptiveAvgPool2d(1),
                nn.Flatten(),
            )
        self.squash = config.squash

    def forward(self, pair: Float[Tensor, "b 2 h w"]) -> Scores:
        scores = self.output(self.trunk(pair))
        return Scores(scores.sigmoid() if self.squash else scores)
