"""Perceptron on the flattened pair, trained by `trainables.backprop`, without autograd."""

from ray import tune

from search_spaces.conditions import groups
from search_spaces.space import SearchSpace, preset_point
from trainables.models.pairs.variants import MLP_BACKPROP


def space() -> SearchSpace:
    """Width, depth, learning rate and its schedule; the library has neither dropout nor Adam."""
    return SearchSpace(
        name="mlp_backprop",
        variant=MLP_BACKPROP,
        domains={
            "lr": tune.loguniform(1e-4, 1e-2),
            "weight_decay": tune.uniform(0.0, 5e-4),
            "optimiser": "rmsprop",
            "hidden": tune.lograndint(32, 257),
            "hidden_layers": tune.randint(1, 4),
            "batch_size": tune.lograndint(32, 129),
            "schedule": groups(
                {
                    "exponential": {"schedule_rate": tune.loguniform(1e-2, 1e-1)},
                    "constant": {},
                }
            ),
            "batch_norm": tune.choice([True, False]),
            "epochs": 30,
        },
        points=[preset_point("gervaise2020/pairs_backprop")],
    )
