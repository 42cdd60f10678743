"""Perceptron of `trainables.backprop`, the library without autograd, on the pixels of a pair."""

from dataclasses import dataclass

from trainables.config import ImageConfig
from trainables.models.backprop import BackpropConfig


@dataclass(frozen=True, kw_only=True)
class PairBackpropConfig(BackpropConfig, ImageConfig):
    """Perceptron without autograd, and augmentation of training images."""
