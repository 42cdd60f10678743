"""Convolutional net on the pair as two channels."""

from ray import tune

from search_spaces.common import augmentation, optimisation
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
            "channels": tune.qrandint(16, 64, 8),  # vector units like multiples of 8
            "hidden": tune.qrandint(32, 256, 32),
            "dropout": tune.uniform(0.0, 0.6),
            "kernel": 5,
            "padding": 1,
            "batch_norm": "before",
        },
        points=[preset_point("aguet2019/deep_cnn")],
    )
