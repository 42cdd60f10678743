"""Perceptron on each image with auxiliary digit losses."""

from search_spaces.common import augmentation, auxiliary, head, optimisation, perceptrons
from search_spaces.space import SearchSpace, preset_point
from trainables.trainable import MlpAuxTrainable


def space() -> SearchSpace:
    """Width and depth of the branches and the auxiliary share besides the common domains."""
    return SearchSpace(
        name="mlp_aux",
        trainable=MlpAuxTrainable,
        domains={
            **optimisation(),
            **augmentation(),
            **perceptrons(),
            **head(),
            **auxiliary(),
        },
        points=[preset_point("gervaise2020/fnn_aux")],
    )
