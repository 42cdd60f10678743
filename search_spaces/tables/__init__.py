"""Spaces of estimators, for any task of classification or regression."""

from collections.abc import Callable, Mapping

from search_spaces.space import SearchSpace
from search_spaces.tables import (
    extra_trees,
    hist_gradient_boosting,
    knn,
    logistic,
    random_forest,
    ridge,
    svm,
)
from trainables.tasks.task import Task

ESTIMATOR_SPACES: Mapping[str, Callable[[Task], SearchSpace]] = {
    "logistic": logistic.space,
    "ridge": ridge.space,
    "svm": svm.space,
    "random_forest": random_forest.space,
    "extra_trees": extra_trees.space,
    "hist_gradient_boosting": hist_gradient_boosting.space,
    "knn": knn.space,
}
"""Each raises a `UserError` where the estimator is not for tasks of this kind."""
