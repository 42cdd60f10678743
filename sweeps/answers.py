"""Summary of an evaluation's predictions as plain values, for the figures of a report."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from trainables.tasks.samples import Samples
from trainables.tasks.task import Task

BINS = 10
"""Number of bins of predicted probability in the calibration curve."""
MOST_POINTS = 2000
"""Most rows of the first round whose actual and predicted values are kept."""
Predictions = Mapping[str, np.ndarray]


def evaluation(
    task: Task, rounds: Sequence[Samples], predictions: Sequence[Predictions]
) -> dict[str, Any]:
    """Confusion matrix and calibration of a classification, or points of a regression.

    `confusion` counts rows by (actual class, predicted class), over all rounds. `calibration` has,
    for each non-empty bin of predicted probability over all classes, the mean of the
    probabilities, the observed frequency of the class, and the number of probabilities. `points`
    are rows of the first round as [actual, predicted]. `details` are the task's own values.
    """
    found: dict[str, Any] = {"rounds": len(rounds), "kind": task.kind}
    targets = [samples.targets[task.target] for samples in rounds]
    if task.kind == "classification":
        answers = [said["answer"] for said in predictions]
        found["classes"] = [str(name) for name in task.classes]
        found["confusion"] = _confusion(targets, answers, task.outputs)
        probabilities = [said["probability"] for said in predictions if "probability" in said]
        if len(probabilities) == len(predictions):
            found["calibration"] = _calibration(targets, probabilities)
    elif task.kind == "regression" and targets[0].ndim == 1:
        rows = _spread(len(targets[0]))
        points = np.stack([targets[0][rows], predictions[0]["value"][rows]], axis=1)
        found["points"] = points.astype(float).tolist()
    if task.details is not None:
        found["details"] = task.details(rounds, predictions)
    return found


def _confusion(
    targets: Sequence[np.ndarray], answers: Sequence[np.ndarray], classes: int
) -> list[list[int]]:
    counts = np.zeros((classes, classes), dtype=np.int64)
    for target, answer in zip(targets, answers, strict=True):
        np.add.at(counts, (target, answer), 1)
    return counts.tolist()


def _calibration(
    targets: Sequence[np.ndarray], probabilities: Sequence[np.ndarray]
) -> dict[str, list[float]]:
    hits = [np.eye(p.shape[1])[t] for t, p in zip(targets, probabilities, strict=True)]
    said = np.concatenate([p.ravel() for p in probabilities]).astype(float)
    true = np.concatenate([hit.ravel() for hit in hits])
    place = np.minimum((said * BINS).astype(int), BINS - 1)
    count = np.bincount(place, minlength=BINS)
    filled = count > 0
    mean = np.bincount(place, said, BINS)[filled] / count[filled]
    share = np.bincount(place, true, BINS)[filled] / count[filled]
    return {
        "predicted": mean.tolist(),
        "observed": share.tolist(),
        "count": count[filled].tolist(),
    }


def _spread(size: int) -> np.ndarray:
    """Indices of evenly spaced rows, at most `MOST_POINTS`."""
    return np.unique(np.linspace(0, size - 1, min(size, MOST_POINTS)).round().astype(int))
