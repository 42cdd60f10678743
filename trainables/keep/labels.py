"""Readable predictions: names of classes instead of codes, and one column per number."""

from collections.abc import Mapping

import numpy as np

from trainables.keep.model import KeptModel

PREDICTION = "prediction"
"""Key of the predicted class's name, or of the predicted value."""


def labelled(model: KeptModel, predictions: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Predictions with the names of classes.

    Args:
        model: The model that made the predictions.
        predictions: Result of `KeptModel.predict`.

    Returns:
        `prediction` and, for classes, `probability_<class>`, (n,) each; others are unchanged.
    """
    found: dict[str, np.ndarray] = {}
    classes = _classes(model)
    for name, values in predictions.items():
        if name == "answer":
            found[PREDICTION] = values if classes is None else classes[values]
        elif name == "value":
            found[PREDICTION] = values
        elif name == "probability" and classes is not None and values.shape[1:] == classes.shape:
            columns = zip(model.classes, values.T, strict=True)
            found |= {f"probability_{label}": column for label, column in columns}
        else:
            found[name] = values
    return found


def as_columns(predictions: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Predictions with one column per number of a row, `<name>_<place>` if a row has several."""
    columns: dict[str, np.ndarray] = {}
    for name, values in predictions.items():
        for place in np.ndindex(values.shape[1:]):
            columns["_".join([name, *map(str, place)])] = values[:, *place]
    return columns


def _classes(model: KeptModel) -> np.ndarray | None:
    """Names of classes by code, as text if they are of several types; None without classes."""
    if not model.classes:
        return None
    alike = len({type(label) for label in model.classes}) == 1
    return np.array(model.classes if alike else [str(label) for label in model.classes])
