"""Siamese convolutional net with shared weights and auxiliary digit losses."""

from ray import tune

from search_spaces.common import augmentation, optimisation
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
            "channels": tune.qrandint(16, 64, 8),  # vector units like multiples of 8
            "hidden": tune.qrandint(32, 256, 32),
            "dropout": tune.uniform(0.0, 0.6),
            "aux_alpha": tune.uniform(0.1, 0.9),  # 0 is another variant; 1 trains no comparison
            "kernel": 5,
            "padding": 1,
            "batch_norm": "before",
            "digits": "path",
            "head_hidden": (64,),
        },
        points=[preset_point("aguet2019/auxiliary")],
    )
