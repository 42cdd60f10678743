"""Siamese convolutional net with shared weights."""

from search_spaces.common import augmentation, convolutions, optimisation
from search_spaces.space import SearchSpace, preset_point
from trainables.trainable import CnnWsTrainable


def space() -> SearchSpace:
    """Channels, hidden width and head besides the common domains."""
    return SearchSpace(
        name="cnn_ws",
        trainable=CnnWsTrainable,
        domains={
            **optimisation(),
            **augmentation(),
            **convolutions(),
            "head_hidden": (64,),
        },
        points=[preset_point("lenet_transfer/weight_sharing")],
    )
