"""Random forest."""

from ray import tune

from search_spaces.space import SearchSpace
from search_spaces.tables.common import estimator_space
from trainables.tasks.task import Task


def space(task: Task) -> SearchSpace:
    """Columns per split, size of leaves and rows per tree.

    These three are tuned by tuneRanger (Probst, Wright and Boulesteix, "Hyperparameters and tuning
    strategies for random forest", 2019). More trees do not overfit, so there are 300.
    """
    return estimator_space(
        "random_forest",
        task,
        {
            "n_estimators": 300,
            "max_features": tune.choice(["sqrt", "log2", 0.25, 0.5, 0.75, 1.0]),
            "min_samples_leaf": tune.lograndint(1, 51),
            "max_samples": tune.uniform(0.2, 1.0),
        },
    )
