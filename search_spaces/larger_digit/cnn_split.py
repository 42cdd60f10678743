"""Convolutional net on each image, then a head."""

from ray import tune

from search_spaces.larger_digit.common import (
    augmentation,
    convolutional_branches,
    head,
    optimisation,
)
from search_spaces.space import SearchSpace, preset_point
from trainables.models.pairs.variants import CNN_SPLIT


def space() -> SearchSpace:
    """Channels and hidden width besides the common domains."""
    return SearchSpace(
        name="cnn_split",
        variant=CNN_SPLIT,
        domains={
            **optimisation(),
            **augmentation(),
            **convolutional_branches(),
            **head(),
            "digits": tune.choice(["none", "path"]),
        },
        points=[preset_point("gervaise2020/cnn")],
    )
