"""Histogram gradient boosting."""

from ray import tune

from search_spaces.space import SearchSpace
from search_spaces.tables.common import estimator_space
from trainables.tasks.task import Task


def space(task: Task) -> SearchSpace:
    """Learning rate, size of trees and regularisation, for 300 boosting iterations.

    Parameters and scales are those of auto-sklearn (Feurer et al., 2015), plus the fraction of
    columns per split. Trees are smaller than auto-sklearn allows, as in Grinsztajn, Oyallon and
    Varoquaux, "Why do tree-based models still outperform deep learning on typical tabular data?"
    (2022).
    """
    return estimator_space(
        "hist_gradient_boosting",
        task,
        {
            "max_iter": 300,
            "learning_rate": tune.loguniform(0.01, 0.5),
            "max_leaf_nodes": tune.lograndint(4, 129),
            "min_samples_leaf": tune.lograndint(1, 101),
            "l2_regularization": tune.uniform(0.0, 10.0),
            "max_features": tune.uniform(0.2, 1.0),
        },
    )
