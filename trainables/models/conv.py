"""Convolution blocks: their configuration, and the trunk that they make."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from foldsweep.errors import UserError
from trainables.config import TrialConfig
from trainables.models.layers import (
    ACTIVATIONS,
    Activation,
    Widths,
    dropout_layers,
    widths_of,
)

BatchNormPlace = Literal["none", "before", "after"]
DropoutBlocks = Literal["all", "last"]


@dataclass(frozen=True, kw_only=True)
class BlocksConfig(TrialConfig):
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

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("channels", "kernel", "hidden"):
            widths = widths_of(getattr(self, name))
            self.require(name, min(widths, default=1) >= 1, "at least 1")
        for name in ("conv_layers", "padding", "hidden_layers"):
            self.require(name, getattr(self, name) >= 0, "at least 0")

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


def conv_trunk(config: BlocksConfig, in_channels: int, size: int) -> nn.Sequential:
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


def trunk_features(trunk: nn.Module, shape: tuple[int, ...]) -> int:
    """Length of the flattened vector that `trunk` makes of an image of `shape` (c, h, w)."""
    was_training = trunk.training
    with torch.no_grad():
        out = trunk.eval()(torch.zeros(1, *shape))
    trunk.train(was_training)
    return out.numel()
