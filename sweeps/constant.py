"""Score of a constant prediction, above which a model has learned something."""

from collections.abc import Sequence

import numpy as np

from foldsweep.errors import UserError
from trainables.data.folds import Fold
from trainables.tasks.metrics import Metric
from trainables.tasks.samples import Data
from trainables.tasks.scores import Measure
from trainables.tasks.task import Task

ACCURACY = "accuracy"


def constant_score(task: Task, data: Data, folds: Sequence[Fold], metric: str) -> float | None:
    """Mean over folds of a metric of the prediction that is the same for all rows.

    It is the most frequent class of the training rows, with the frequencies of the classes as
    probabilities, or the mean of their values, as of scikit-learn's `DummyClassifier` and
    `DummyRegressor`, which take a second to import.

    Args:
        task: Task.
        data: Data whose training rows the folds split.
        folds: Folds.
        metric: Name of the metric.

    Returns:
        The score; None if the metric is not computed from classes, probabilities or values, or is
        undefined for constant ones.
    """
    measured = task.metrics.get(metric)
    known = measured is not None and (metric == ACCURACY or isinstance(measured.of, Measure))
    if not known or task.kind not in ("classification", "regression"):
        return None
    assert measured is not None
    target, is_class = data.train.targets[task.target], task.kind == "classification"
    if is_class and (target.ndim != 1 or target.dtype.kind not in "iu"):
        return None  # a task of the user with classes of its own form
    scores = []
    for fold in folds:
        train, held_out = target[fold.train], target[fold.val]
        said = _constant(train, task.outputs, measured.needs if is_class else "value")
        repeated = np.broadcast_to(said, (len(held_out), *said.shape))
        try:
            scores.append(_score(measured, metric, held_out, repeated))
        except UserError:
            return None
    return float(np.mean(scores))


def _constant(target: np.ndarray, outputs: int, needs: str) -> np.ndarray:
    """The prediction for one row: a class, the probabilities of the classes, or values."""
    if needs == "value":
        return np.asarray(target.mean(axis=0))
    counts = np.bincount(target, minlength=outputs)
    return np.asarray(counts / counts.sum() if needs == "probability" else counts.argmax())


def _score(measured: Metric, metric: str, target: np.ndarray, said: np.ndarray) -> float:
    if metric == ACCURACY:
        return float((said == target).mean())
    return float(measured.of(target, said))
