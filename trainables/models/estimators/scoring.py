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
    """A metric of some rows; None where it does not apply.

    A metric of rows is the mean of its `row_values`.

    Args:
        name: The metric's name in the task.
        metric: The metric.
        target: Codes of classes, or values.
        predictions: Predictions by name, see `predictions_of`.

    Raises:
        UserError: If the metric takes a prediction that the estimator does not give.
    """
    if metric.over == "all":
        return float(metric.of(target, _given(name, metric.needs, predictions)))
    rows = _rows(name, metric, target, predictions)
    return None if rows is None else float(rows.double().mean())


def row_values(
    name: str, metric: Metric, target: np.ndarray, predictions: Mapping[str, np.ndarray]
) -> Float[np.ndarray, " n"] | None:
    """A metric of rows of each row; None where it does not apply.

    Accuracy is 1 where the answer is right. Every other metric gets what a network would return:
    logarithms of probabilities, or values. Where it gives several numbers a row, it is their mean.

    Takes and raises what `measured` does.
    """
    rows = _rows(name, metric, target, predictions)
    return None if rows is None else rows.double().reshape(len(target), -1).mean(1).numpy()


def loss_of(
    target: np.ndarray, predictions: Mapping[str, np.ndarray], scale: np.ndarray | np.floating
) -> float | None:
    """A loss that compares with a network's; None where the predictions do not allow one.

    It is the cross-entropy of probabilities, or the mean squared error of scaled values.

    Args:
        target: Codes of classes, or values.
        predictions: Predictions by name, see `predictions_of`.
        scale: Deviation of each value to predict on the training rows.
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
    """The loss of each row, whose mean is `loss_of` up to rounding; arguments as there."""
    if "value" in predictions:
        errors = (predictions["value"] - target) / np.where(scale == 0, 1.0, scale)
        return (errors**2).reshape(len(target), -1).mean(axis=1)
    if "probability" not in predictions:
        return None
    probability = predictions["probability"]
    least = np.finfo(probability.dtype).eps  # as `log_loss` has it
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
        raise UserError(
            f"metric {name} takes {needs}, but the estimator gives {', '.join(predictions)}"
        )
    return predictions[needs]
