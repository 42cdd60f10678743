"""Predictions of a fitted estimator, with the names that `Task.predict` uses."""

from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.special import expit, softmax
from sklearn.base import is_classifier


def predictions_of(
    model: Any, columns: Float[np.ndarray, "n p"], *, classes: int
) -> dict[str, np.ndarray]:
    """Return the predictions of a fitted estimator: `answer` and `probability`, or `value`.

    For a classifier without `predict_proba`, `probability` is the sigmoid of its decision
    function, or the softmax for more than two classes. These values rank rows and are not
    calibrated probabilities. A classifier without a decision function has `answer` only. A class
    that was absent from the training rows has probability 0.

    Args:
        model: Fitted estimator; targets of a classifier were codes from 0.
        columns: Rows, as `columns_of` returns them.
        classes: Number of classes of the task; unused for a regressor.
    """
    predicted = model.predict(columns)
    if not is_classifier(model):
        return {"value": predicted}
    answer = predicted.astype(np.int64)
    scores = _scores(model, columns)
    if scores is None:
        return {"answer": answer}
    probability = np.zeros((len(columns), classes))
    probability[:, model.classes_.astype(np.int64)] = scores
    return {"answer": answer, "probability": probability}


def _scores(model: Any, columns: np.ndarray) -> np.ndarray | None:
    """Probabilities of the classes that the model was trained on; None if it has no scores."""
    if hasattr(model, "predict_proba"):
        return model.predict_proba(columns)
    if not hasattr(model, "decision_function"):
        return None
    decision = model.decision_function(columns)
    if decision.ndim == 1:
        return np.column_stack([expit(-decision), expit(decision)])
    return softmax(decision, axis=1)
