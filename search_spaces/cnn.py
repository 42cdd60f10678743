"""Convolutional net on the pair as two channels."""

from search_spaces.common import augmentation, convolutions, optimisation
from search_spaces.space import SearchSpace, preset_point
from trainables.trainable import CnnTrainable


def space() -> SearchSpace:
    """Channels and hidden width besides the common domains."""
    return SearchSpace(
        name="cnn",
        trainable=CnnTrainable,
        domains={
            **optimisation(),
            **augmentation(),
            **convolutions(),
        },
        points=[preset_point("aguet2019/deep_cnn")],
    )
