"""Networks for a user's task: perceptrons for tables, convolutional networks for images."""

from trainables.models.images import ConvNet, ConvNetClassifierConfig, ConvNetConfig
from trainables.models.perceptron import (
    Perceptron,
    PerceptronClassifierConfig,
    PerceptronConfig,
)

__all__ = [
    "ConvNet",
    "ConvNetClassifierConfig",
    "ConvNetConfig",
    "Perceptron",
    "PerceptronClassifierConfig",
    "PerceptronConfig",
]
