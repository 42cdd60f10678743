"""Perceptron on each image, then a head."""

from search_spaces.common import augmentation, head, optimisation, perceptrons
from search_spaces.space import SearchSpace, preset_point
from trainables.trainable import MlpSplitTrainable


def space() -> SearchSpace:
    """Width and depth of the branches besides the common domains."""
    return SearchSpace(
        name="mlp_split",
        trainable=MlpSplitTrainable,
        domains={
            **optimisation(),
            **augmentation(),
            **perceptrons(),
            **head(),
        },
        points=[preset_point("gervaise2020/fnn")],
    )
