"""Score of a constant prediction, above which a model has learned something."""

from collections.abc import Sequence

import numpy as np
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.metrics import accuracy_score

from foldsweep.errors import UserError
from trainables.data.folds import Fold
from trainables.tasks.samples import Data
from trainables.tasks.scores import Measure
from trainables.tasks.task import Task

ACCURACY = "accuracy"


def constant_score(task: Task, data: Data, folds: Sequence[Fold], metric: str) -> float | None:
    """Mean over folds of a metric of the prediction that is the same for all rows.

    It is the most frequent class of the training rows, with the frequencies of the classes as
    probabilities, or the mean of their values; see scikit-learn's `DummyClassifier` and
    `DummyRegressor`.

    Args:
        task: Task.
        data: Data whose training rows the folds split.
        folds: Folds.
        metric: Name of the metric.

    Returns:
        The score; None if the metric is not computed from classes, probabilities or values.
    """
    measured = task.metrics.get(metric)
    known = measured is not None and (metric == ACCURACY or isinstance(measured.of, Measure))
    if not known or task.kind not in ("classification", "regression"):
        return None
    assert measured is not None
    target = data.train.targets[task.target]
    scores = []
    for fold in folds:
        nothing = np.zeros((len(target), 1))
        is_class = task.kind == "classification"
        dummy = DummyClassifier(strategy="prior") if is_class else DummyRegressor()
        dummy.fit(nothing[fold.train], target[fold.train])
        said = dummy.predict(nothing[fold.val]).astype(target.dtype)
        if is_class and measured.needs == "probability":
            said = np.zeros((len(fold.val), task.outputs))
            said[:, dummy.classes_] = dummy.class_prior_
        score = accuracy_score if metric == ACCURACY else measured.of
        try:
            scores.append(score(target[fold.val], said))
        except UserError:
            return None  # not defined on these rows
    return float(np.mean(scores))
