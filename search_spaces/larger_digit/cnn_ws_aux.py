"""Siamese convolutional net with shared weights and auxiliary digit losses."""

from search_spaces.larger_digit.common import (
    augmentation,
    auxiliary,
    convolutional_branches,
    head,
    optimisation,
)
from search_spaces.space import SearchSpace, preset_point
from trainables.models.pairs.variants import CNN_WS_AUX


def space() -> SearchSpace:
    """Channels, hidden width and auxiliary weight besides the common domains."""
    return SearchSpace(
        name="cnn_ws_aux",
        variant=CNN_WS_AUX,
        domains={
            **optimisation(),
            **augmentation(),
            **convolutional_branches(),
            **head(),
            **auxiliary(),
        },
        points=[preset_point("gervaise2020/cnn_ws_aux")],
    )
