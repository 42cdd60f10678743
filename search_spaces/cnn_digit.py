"""Convolutional classifier of digits; the comparison is outside the network."""

from search_spaces.common import augmentation, convolutions, optimisation
from search_spaces.space import SearchSpace, preset_point
from trainables.trainable import CnnDigitTrainable


def space() -> SearchSpace:
    """Channels and hidden width besides the common domains."""
    return SearchSpace(
        name="cnn_digit",
        trainable=CnnDigitTrainable,
        domains={
            **optimisation(),
            **augmentation(),
            **convolutions(),
        },
        points=[preset_point("lenet_transfer/digit")],
    )
