"""Siamese convolutional net with shared weights."""

from search_spaces.common import augmentation, convolutions, head, optimisation
from search_spaces.space import SearchSpace, preset_point
from trainables.trainable import CnnWsTrainable


def space() -> SearchSpace:
    """Channels and hidden width besides the common domains."""
    return SearchSpace(
        name="cnn_ws",
        trainable=CnnWsTrainable,
        domains={
            **optimisation(),
            **augmentation(),
            **convolutions(),
            **head(),
        },
        points=[preset_point("lenet_transfer/weight_sharing")],
    )
