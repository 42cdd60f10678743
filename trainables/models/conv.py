"""Convolution blocks: configuration, and the trunk of a network that is built from them."""

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
    """Convolution blocks, followed by linear layers."""

    channels: Widths = 32
    """Channels of the first of `conv_layers` blocks, doubled in each further block; or channels
    per block."""
    conv_layers: int = 2
    kernel: Widths = 3
    """Kernel size, for all blocks or per block."""
    padding: int = 0
    """Zero padding of each convolution, in pixels on each side."""
    pooled: int | None = None
    """Number of blocks, from the first, with a 2x2 max-pool; None for all."""
    batch_norm: BatchNormPlace = "none"
    """Batch-norm before or after each block's activation."""
    activation: Activation = "relu"
    channel_dropout: bool = False
    """Dropout after blocks drops whole channels instead of single units."""
    dropout_blocks: DropoutBlocks = "all"
    """Dropout after every block, or after the last block only."""
    hidden: Widths = 64
    """Hidden units after the blocks: one width for each of `hidden_layers` layers, or a width per
    layer."""
    hidden_layers: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("channels", "kernel", "hidden"):
            self.require_at_least(1, **{name: widths_of(getattr(self, name))})
        for name in ("conv_layers", "padding", "hidden_layers"):
            self.require_at_least(0, **{name: getattr(self, name)})

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
    """Build the convolution blocks, from images to channels of smaller images.

    A block is convolution, batch-norm, pool, activation, dropout. Max-pooling before the
    activation is equivalent to pooling after it, because activations are monotonic, and cheaper.
    With batch-norm after the activation the order matters, so the pool follows the batch-norm.

    Args:
        config: Configuration of the blocks.
        in_channels: Channels of the images.
        size: Side of the images, in pixels.

    Raises:
        UserError: If the image becomes too small for a kernel or a pool, or the number of kernel
            sizes differs from the number of blocks.
    """
    channels = config.block_channels
    kernels = widths_of(config.kernel, repeat=len(channels))
    pooled = len(channels) if config.pooled is None else config.pooled
    if len(kernels) != len(channels):
        raise UserError.of("conv.kernel-sizes-differ", sizes=len(channels), kernel=config.kernel)
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
            raise UserError.of(
                "conv.image-too-small",
                block=i + 1,
                channels=config.channels,
                kernel=config.kernel,
                padding=config.padding,
            )
    return nn.Sequential(*layers)


def trunk_features(trunk: nn.Module, shape: tuple[int, ...]) -> int:
    """Number of features of `trunk` for an image of `shape` (c, h, w), after flattening."""
    was_training = trunk.training
    with torch.no_grad():
        out = trunk.eval()(torch.zeros(1, *shape))
    trunk.train(was_training)
    return out.numel()
