"""Predictions as people read them: names of classes in place of codes, a column per number."""

from collections.abc import Mapping

import numpy as np

from trainables.keep.model import KeptModel

PREDICTION = "prediction"
"""Name of the class that is answered, or of the value."""


def labelled(model: KeptModel, predictions: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Predictions with the names of classes.

    Args:
        model: The model that made them.
        predictions: What `KeptModel.predict` gave.

    Returns:
        `prediction` and, of classes, `probability_<class>`, (n,) each; all others as they are.
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
    """Every number of a row as a column of its own, `<name>_<place>` where there are several."""
    columns: dict[str, np.ndarray] = {}
    for name, values in predictions.items():
        for place in np.ndindex(values.shape[1:]):
            columns["_".join([name, *map(str, place)])] = values[:, *place]
    return columns


def _classes(model: KeptModel) -> np.ndarray | None:
    """Names by code; text where they are of several types."""
    if not model.classes:
        return None
    alike = len({type(label) for label in model.classes}) == 1
    return np.array(model.classes if alike else [str(label) for label in model.classes])
