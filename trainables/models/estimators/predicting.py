"""Predictions of a fitted estimator, by name as `Task.predict` names them."""

from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.special import expit, softmax
from sklearn.base import is_classifier


def predictions_of(
    model: Any, columns: Float[np.ndarray, "n p"], *, classes: int
) -> dict[str, np.ndarray]:
    """Predictions of a fitted estimator: `answer` and `probability`, or `value`.

    A classifier without `predict_proba` gives sigmoids of its decision function, or its softmax
    where there are more than two classes. They rank rows and are no calibrated probabilities. One
    without a decision function gives answers alone. A class that was absent from the training
    rows has probability 0.

    Args:
        model: Fitted estimator; targets of a classifier were codes from 0.
        columns: Rows as `columns_of` gives them.
        classes: How many classes the task has; a regressor takes no notice.
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
    """A number for each class that the model knows."""
    if hasattr(model, "predict_proba"):
        return model.predict_proba(columns)
    if not hasattr(model, "decision_function"):
        return None
    decision = model.decision_function(columns)
    if decision.ndim == 1:
        return np.column_stack([expit(-decision), expit(decision)])
    return softmax(decision, axis=1)
