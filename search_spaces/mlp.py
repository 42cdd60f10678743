"""Perceptron on the flattened pair."""

from ray import tune

from search_spaces.common import augmentation, optimisation
from search_spaces.space import SearchSpace, preset_point
from trainables.trainable import MlpTrainable


def space() -> SearchSpace:
    """Width and depth of the perceptron besides the common domains."""
    return SearchSpace(
        name="mlp",
        trainable=MlpTrainable,
        domains={
            **optimisation(),
            **augmentation(),
            "hidden": tune.lograndint(32, 513),
            "hidden_layers": tune.randint(1, 4),
            "dropout": tune.uniform(0.0, 0.6),
            "batch_norm": True,
        },
        points=[preset_point("aguet2019/fc_dropout")],
    )
