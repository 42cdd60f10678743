"""The space of W4: numeric parameters without conditions, which every tool can search."""

from ray import tune

from search_spaces.larger_digit.common import augmentation
from search_spaces.space import SearchSpace, preset_point
from trainables.models.pairs.variants import CNN_WS_AUX


def space() -> SearchSpace:
    """Siamese convolutional nets with shared weights and digit losses."""
    return SearchSpace(
        name="w4",
        variant=CNN_WS_AUX,
        domains={
            "lr": tune.loguniform(3e-4, 2e-2),
            "weight_decay": tune.loguniform(1e-6, 1e-2),
            "batch_size": tune.lograndint(32, 129),
            "lr_schedule": "cosine",
            "epochs": 30,
            **augmentation(),
            "channels": tune.qrandint(16, 64, 8),
            "hidden": tune.qrandint(32, 256, 32),
            "dropout": tune.uniform(0.0, 0.6),
            "kernel": 5,
            "padding": 1,
            "batch_norm": "before",
            "head_hidden": (64,),
            "aux_alpha": tune.uniform(0.1, 0.9),
            "digits": "path",
        },
        points=[preset_point("aguet2019/auxiliary")],
    )
