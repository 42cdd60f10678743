"""Siamese convolutional net with shared weights and auxiliary digit losses."""

from ray import tune

from search_spaces.common import augmentation, convolutions, optimisation
from search_spaces.space import SearchSpace, preset_point
from trainables.trainable import CnnAuxTrainable


def space() -> SearchSpace:
    """Channels, hidden width and auxiliary share besides the common domains."""
    return SearchSpace(
        name="cnn_aux",
        trainable=CnnAuxTrainable,
        domains={
            **optimisation(),
            **augmentation(),
            **convolutions(),
            "aux_alpha": tune.uniform(0.1, 0.9),  # 0 is another variant; 1 trains no comparison
            "digits": "path",
            "head_hidden": (64,),
        },
        points=[preset_point("aguet2019/auxiliary")],
    )
