"""Ridge regression, for regressions."""

from ray import tune

from search_spaces.space import SearchSpace
from search_spaces.tables.common import estimator_space
from trainables.tasks.task import Task


def space(task: Task) -> SearchSpace:
    """Strength of the penalty.

    The penalty is added to a sum over rows, so the range must cover tables of all sizes: 1e5 is a
    strong penalty for a hundred thousand scaled rows, and 1e-4 is practically none for a hundred.
    """
    return estimator_space("ridge", task, {"alpha": tune.loguniform(1e-4, 1e5)})
