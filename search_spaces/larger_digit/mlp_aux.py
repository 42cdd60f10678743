"""Perceptron on each image with auxiliary digit losses."""

from search_spaces.larger_digit.common import (
    augmentation,
    auxiliary,
    head,
    optimisation,
    perceptrons,
)
from search_spaces.space import SearchSpace, preset_point
from trainables.models.pairs.variants import MLP_AUX


def space() -> SearchSpace:
    """Width and depth of the branches, and auxiliary weight, besides the common domains."""
    return SearchSpace(
        name="mlp_aux",
        variant=MLP_AUX,
        domains={
            **optimisation(),
            **augmentation(),
            **perceptrons(),
            **head(),
            **auxiliary(),
        },
        points=[preset_point("gervaise2020/fnn_aux")],
    )
