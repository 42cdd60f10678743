"""Siamese convolutional net with shared weights."""

from ray import tune

from search_spaces.common import augmentation, optimisation
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
            "channels": tune.qrandint(16, 64, 8),  # vector units like multiples of 8
            "hidden": tune.qrandint(32, 256, 32),
            "dropout": tune.uniform(0.0, 0.6),
            "kernel": 5,
            "padding": 1,
            "batch_norm": "before",
            "head_hidden": (64,),
        },
        points=[preset_point("lenet_transfer/weight_sharing")],
    )
