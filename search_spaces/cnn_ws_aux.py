"""Siamese convolutional net with shared weights and auxiliary digit losses."""

from search_spaces.common import augmentation, auxiliary, convolutions, head, optimisation
from search_spaces.space import SearchSpace, preset_point
from trainables.trainable import CnnWsAuxTrainable


def space() -> SearchSpace:
    """Channels, hidden width and auxiliary share besides the common domains."""
    return SearchSpace(
        name="cnn_ws_aux",
        trainable=CnnWsAuxTrainable,
        domains={
            **optimisation(),
            **augmentation(),
            **convolutions(),
            **head(),
            **auxiliary(),
        },
        points=[preset_point("aguet2019/auxiliary")],
    )
