"""Space on points inside and outside a disc: perceptrons without autograd, by activation."""

from ray import tune

from search_spaces.space import SearchSpace, preset_point
from trainables.presets.gervaise2020 import DISC, DISC_AXES
from trainables.variants import VARIANTS


def space(name: str) -> SearchSpace:
    """All parameters of the report's grid, and the learning rate schedule.

    Args:
        name: Name of the variant, such as `disc_relu`.
    """
    return SearchSpace(
        name=name,
        variant=VARIANTS[name],
        domains={
            "lr": tune.loguniform(1e-2, 3.0),
            "weight_decay": tune.uniform(0.0, 5e-4),
            "schedule": tune.choice(["constant", "exponential", "time", "step"]),
            "schedule_rate": tune.loguniform(1e-3, 1e-1),
            "criterion": tune.choice(["cross_entropy", "mse"]),
            "batch_size": tune.lograndint(10, 101),
            "epochs": 100,
            **DISC[name],
        },
        grid={**DISC_AXES, "batch_size": (20,), "schedule_rate": (0.01,)},
        points=[preset_point(f"gervaise2020/{name}")],
    )
