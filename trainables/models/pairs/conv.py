"""Convolutional networks for pairs, with one image or both images (as two channels) as input."""

import math
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from foldsweep.texts import text
from trainables.models.conv import BlocksConfig, conv_trunk, trunk_features
from trainables.models.layers import dense_layers
from trainables.models.pairs.scores import IMAGE_SIZE, PairConfig, Scores


@dataclass(frozen=True, kw_only=True)
class ConvConfig(BlocksConfig, PairConfig):
    """Convolution blocks and linear layers for a pair, and the outputs of the comparison."""

    outputs: int = 2
    """Output units: 2 with cross-entropy, or 1 with binary cross-entropy."""
    squash: bool = False
    """Sigmoid before the cross-entropy of two units, as in some reports; damps the gradients."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(
            "outputs",
            self.outputs == 2 or (self.outputs == 1 and not self.squash),
            "2, or 1 without squash",
        )


@dataclass(frozen=True, kw_only=True)
class PairConvConfig(ConvConfig):
    """Convolutional network on the pair as two channels."""

    output_kernel: int | None = None
    """Kernel size of a last convolution that replaces the linear layers; its outputs, averaged
    over positions, are the scores. None for linear layers."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_at_least(1, output_kernel=self.output_kernel)


class ConvNet(nn.Module):
    """Convolution blocks on the pair as two channels, hidden layers, comparison scores.

    Raises:
        UserError: If the image becomes too small for a kernel or a pool.
    """

    def __init__(self, config: PairConvConfig):
        super().__init__()
        self.trunk = conv_trunk(config, 2, IMAGE_SIZE)
        features = trunk_features(self.trunk, (2, IMAGE_SIZE, IMAGE_SIZE))
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
                text("conv.output-kernel", most=size),
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
