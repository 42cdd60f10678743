"""Convolutional classifier of digits; digits are compared outside the network."""

from search_spaces.larger_digit.common import augmentation, lenet, optimisation
from search_spaces.space import SearchSpace, preset_point
from trainables.models.pairs.variants import CNN_DIGIT


def space() -> SearchSpace:
    """Channels and hidden width besides the common domains."""
    return SearchSpace(
        name="cnn_digit",
        variant=CNN_DIGIT,
        domains={
            **optimisation(),
            **augmentation(),
            **lenet(),
        },
        points=[preset_point("lenet_transfer/digit")],
    )
