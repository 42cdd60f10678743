"""Siamese convolutional net with shared weights."""

from ray import tune

from search_spaces.larger_digit.common import (
    augmentation,
    convolutional_branches,
    head,
    optimisation,
)
from search_spaces.space import SearchSpace, preset_point
from trainables.models.pairs.variants import CNN_WS


def space() -> SearchSpace:
    """Channels and hidden width besides the common domains."""
    return SearchSpace(
        name="cnn_ws",
        variant=CNN_WS,
        domains={
            **optimisation(),
            **augmentation(),
            **convolutional_branches(),
            **head(),
            "digits": tune.choice(["none", "path"]),
        },
        points=[preset_point("gervaise2020/cnn_ws")],
    )
