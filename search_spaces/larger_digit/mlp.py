"""Perceptron on the flattened pair."""

from ray import tune

from search_spaces.larger_digit.common import augmentation, optimisation
from search_spaces.space import SearchSpace, preset_point
from trainables.models.pairs.variants import MLP


def space() -> SearchSpace:
    """Width and depth of the perceptron besides the common domains."""
    return SearchSpace(
        name="mlp",
        variant=MLP,
        domains={
            **optimisation(),
            **augmentation(),
            "hidden": tune.lograndint(32, 513),
            "hidden_layers": tune.randint(1, 4),
            "dropout": tune.uniform(0.0, 0.4),
            "dropout_first": True,  # equivalent to ReLU first
            "batch_norm": tune.choice([True, False]),
        },
        points=[preset_point("aguet2019/fc_dropout_logits")],
    )
