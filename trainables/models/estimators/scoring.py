"""Metrics and loss of an estimator's predictions."""

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float
from sklearn.metrics import log_loss
from torch import Tensor

from foldsweep.errors import UserError
from trainables.tasks.metrics import Metric

ACCURACY = "accuracy"
_LEAST = np.finfo(np.float64).tiny
"""Probability in place of 0, whose logarithm is not finite."""


def measured(
    name: str, metric: Metric, target: np.ndarray, predictions: Mapping[str, np.ndarray]
) -> float | None:
    """Compute a metric of some rows; None if it is not defined for the predictions.

    A metric with `over="rows"` is averaged over the rows.

    Args:
        name: Name of the metric in the task.
        metric: The metric.
        target: Class codes, or values.
        predictions: Predictions by name, see `predictions_of`.

    Raises:
        UserError: If the metric needs a prediction that the estimator does not make.
    """
    if metric.over == "all":
        return float(metric.of(target, _given(name, metric.needs, predictions)))
    rows = _rows(name, metric, target, predictions)
    return None if rows is None else float(rows.double().mean())


def row_values(
    name: str, metric: Metric, target: np.ndarray, predictions: Mapping[str, np.ndarray]
) -> Float[np.ndarray, " n"] | None:
    """Compute a metric with `over="rows"` for each row; None if it is not defined.

    Accuracy is 1 for a correct answer, else 0. Every other metric gets what a network would
    return: log-probabilities, or values. If it returns several numbers per row, they are
    averaged.

    Arguments and exceptions are those of `measured`.
    """
    rows = _rows(name, metric, target, predictions)
    return None if rows is None else rows.double().reshape(len(target), -1).mean(1).numpy()


def loss_of(
    target: np.ndarray, predictions: Mapping[str, np.ndarray], scale: np.ndarray | np.floating
) -> float | None:
    """Compute a loss that is comparable with a network's; None without probabilities or values.

    It is the cross-entropy of the probabilities, or the mean squared error in units of `scale`.

    Args:
        target: Class codes, or values.
        predictions: Predictions by name, see `predictions_of`.
        scale: Standard deviation of each value to predict, over the training rows.
    """
    if "value" in predictions:
        errors = (predictions["value"] - target) / np.where(scale == 0, 1.0, scale)
        return float(np.mean(errors**2))
    if "probability" not in predictions:
        return None
    probability = predictions["probability"]
    return float(log_loss(target, probability, labels=np.arange(probability.shape[1])))


def losses_of(
    target: np.ndarray, predictions: Mapping[str, np.ndarray], scale: np.ndarray | np.floating
) -> Float[np.ndarray, " n"] | None:
    """Compute the loss of each row, with the arguments of `loss_of`, which is the mean.

    The mean of the rows equals `loss_of` up to rounding.
    """
    if "value" in predictions:
        errors = (predictions["value"] - target) / np.where(scale == 0, 1.0, scale)
        return (errors**2).reshape(len(target), -1).mean(axis=1)
    if "probability" not in predictions:
        return None
    probability = predictions["probability"]
    least = np.finfo(probability.dtype).eps  # as in `log_loss`
    of_class = probability[np.arange(len(target)), target]
    return -np.log(np.clip(of_class, least, 1 - least))


def _rows(
    name: str, metric: Metric, target: np.ndarray, predictions: Mapping[str, np.ndarray]
) -> Tensor | None:
    if name == ACCURACY:
        return torch.from_numpy(_given(name, "answer", predictions) == target)
    if "value" in predictions:
        output = predictions["value"]
    else:
        output = np.log(np.maximum(_given(name, "probability", predictions), _LEAST))
    return metric.of(torch.from_numpy(output), torch.from_numpy(target))


def _given(name: str, needs: str, predictions: Mapping[str, np.ndarray]) -> np.ndarray:
    if needs not in predictions:
        raise UserError.of(
            "estimator-scoring.prediction-missing",
            metric=name,
            needs=needs,
            given=", ".join(predictions),
        )
    return predictions[needs]
