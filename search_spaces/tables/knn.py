"""Nearest neighbours."""

from ray import tune

from search_spaces.space import SearchSpace
from search_spaces.tables.common import estimator_space
from trainables.tasks.samples import Data
from trainables.tasks.task import Task

MOST = 100
"""Maximum number of neighbours, as in auto-sklearn."""


def space(task: Task) -> SearchSpace:
    """Number, weights and distance of neighbours, as in auto-sklearn (Feurer et al., 2015).

    The number of neighbours is at most a third of the rows, since every fold trains on at least as
    many rows.
    """
    rows = len(task.data.train) if isinstance(task.data, Data) else 3 * MOST
    most = max(5, min(MOST, rows // 3))
    return estimator_space(
        "knn",
        task,
        {
            "n_neighbors": tune.lograndint(1, most + 1),
            "weights": tune.choice(["uniform", "distance"]),
            "p": tune.choice([1.0, 2.0]),
        },
    )
