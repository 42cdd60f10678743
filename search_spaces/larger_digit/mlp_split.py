"""Perceptron on each image, then a head."""

from ray import tune

from search_spaces.larger_digit.common import augmentation, head, optimisation, perceptrons
from search_spaces.space import SearchSpace, preset_point
from trainables.models.pairs.variants import MLP_SPLIT


def space() -> SearchSpace:
    """Width and depth of the branches besides the common domains."""
    return SearchSpace(
        name="mlp_split",
        variant=MLP_SPLIT,
        domains={
            **optimisation(),
            **augmentation(),
            **perceptrons(),
            **head(),
            "digits": tune.choice(["none", "path"]),
        },
        points=[preset_point("gervaise2020/fnn")],
    )
