"""Logistic regression, for classifications."""

from ray import tune

from search_spaces.space import SearchSpace
from search_spaces.tables.common import estimator_space
from trainables.tasks.task import Task


def space(task: Task) -> SearchSpace:
    """Strength of the penalty, in the range of scikit-learn's `LogisticRegressionCV`.

    Weak penalties need more than the 100 iterations that are the default, so there are 1000. A fit
    that converges before gives the same either way.
    """
    return estimator_space("logistic", task, {"C": tune.loguniform(1e-4, 1e4), "max_iter": 1000})
