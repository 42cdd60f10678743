"""Variants of the task `disc`: networks of `trainables.backprop`."""

from typing import Any

from trainables.models.backprop import BackpropConfig, backprop_net
from trainables.tasks.disc import TASK
from trainables.tasks.task import Shapes, Variant

NAMES = ("disc_relu", "disc_leaky_relu", "disc_tanh", "disc_sigmoid", "disc_relu_sigmoid")


def _build(config: BackpropConfig, shapes: Shapes | None = None) -> Any:
    return backprop_net(config, num_inputs=2)


DISC_VARIANTS = tuple(
    Variant(name=name, task=TASK, model=_build, config=BackpropConfig) for name in NAMES
)
"""Variants of the task `disc`; presets and spaces fix their activations, in which they differ."""
