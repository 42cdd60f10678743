"""Logistic regression, for classifications."""

from ray import tune

from search_spaces.space import SearchSpace
from search_spaces.tables.common import estimator_space
from trainables.tasks.task import Task


def space(task: Task) -> SearchSpace:
    """Strength of the penalty, in the range of scikit-learn's `LogisticRegressionCV`.

    Weak penalties need more than the default of 100 iterations, so the limit is 1000. A fit that
    converges earlier has the same result with either limit.
    """
    return estimator_space("logistic", task, {"C": tune.loguniform(1e-4, 1e4), "max_iter": 1000})
