"""Perceptron on the flattened pair."""

from search_spaces.larger_digit.common import augmentation, optimisation, perceptrons
from search_spaces.space import SearchSpace, preset_point
from trainables.models.pairs.variants import MLP


def space() -> SearchSpace:
    """Width and depth of the perceptron besides the common domains."""
    return SearchSpace(
        name="mlp",
        variant=MLP,
        domains={
            **optimisation(),
            **augmentation(),
            **perceptrons(),
        },
        points=[preset_point("aguet2019/fc_dropout")],
    )
