"""Convolutional networks for images of any size and number of channels."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from trainables.config import ClassifierConfig, ImageConfig
from trainables.models.conv import BlocksConfig, conv_trunk, trunk_features
from trainables.models.layers import dense_layers
from trainables.tasks.task import Shapes


@dataclass(frozen=True, kw_only=True)
class ConvNetConfig(BlocksConfig, ImageConfig):
    """Convolution blocks, hidden linear layers, and augmentation of training images."""


@dataclass(frozen=True, kw_only=True)
class ConvNetClassifierConfig(ConvNetConfig, ClassifierConfig):
    """Convolutional network for classification."""


class ConvNet(nn.Module):
    """Convolution blocks, hidden linear layers, and one output per class or value to predict.

    Raises:
        UserError: If the image becomes too small for a kernel or a pool.
    """

    def __init__(self, config: ConvNetConfig, shapes: Shapes):
        super().__init__()
        (shape,) = shapes.inputs.values()
        self.trunk = conv_trunk(config, shape[0], min(shape[1:]))
        features = trunk_features(self.trunk, shape)
        self.hidden = dense_layers(
            features,
            config.hidden_widths,
            activation=config.activation,
            dropout=config.dropout,
        )
        self.output = nn.Linear((features, *config.hidden_widths)[-1], shapes.outputs)

    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b outputs"]:
        return self.output(self.hidden(self.trunk(images).flatten(1)))
