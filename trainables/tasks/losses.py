"""Losses, predictions and training statistics of classification and regression.

Legend of shapes: *m members (zero or more leading axes), b rows, k classes, t values. Keyword
values of a loss have an axis for rows: scalars are (*m, 1), vectors (*m, 1, k).
"""

import numpy as np
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from trainables.tasks.samples import Samples


def cross_entropy(
    output: Float[Tensor, "*m b k"],
    target: Int[Tensor, "*m b"],
    *,
    label_smoothing: Float[Tensor, "*m #b"] | None = None,
    class_weights: Float[Tensor, "*m #b k"] | None = None,
) -> Float[Tensor, "*m b"]:
    """Cross-entropy of each row, as `torch.nn.functional.cross_entropy` with `reduction="none"`.

    Args:
        output: Scores (logits) of the classes.
        target: Class of each row.
        label_smoothing: Share of the target's probability that is spread evenly over all classes;
            None for none.
        class_weights: Weight of each class; None for equal weights.
    """
    log_p = F.log_softmax(output, dim=-1)
    if class_weights is not None:
        log_p = log_p * class_weights
    loss = -log_p.gather(-1, target.unsqueeze(-1)).squeeze(-1)
    if label_smoothing is None:
        return loss
    return (1 - label_smoothing) * loss - label_smoothing * log_p.mean(-1)


def scaled_squared_error(
    output: Float[Tensor, "*m b 1"] | Float[Tensor, "*m b"],
    target: Float[Tensor, "*m b"],
    *,
    target_mean: Float[Tensor, "*m #b"],
    target_std: Float[Tensor, "*m #b"],
) -> Float[Tensor, "*m b"]:
    """Squared error of each row; the unit is the standard deviation of the training target."""
    values = output.squeeze(-1) if output.ndim > target.ndim else output
    return (values - (target - target_mean) / target_std).square()


def scaled_squared_errors(
    output: Float[Tensor, "*m b t"],
    target: Float[Tensor, "*m b t"],
    *,
    target_mean: Float[Tensor, "*m #b t"],
    target_std: Float[Tensor, "*m #b t"],
) -> Float[Tensor, "*m b"]:
    """Squared error of each row as in `scaled_squared_error`, averaged over the t values."""
    return (output - (target - target_mean) / target_std).square().mean(-1)


def unscaled(
    output: Float[Tensor, "*m b t"] | Float[Tensor, "*m b"],
    *,
    target_mean: Float[Tensor, "*m #b"],
    target_std: Float[Tensor, "*m #b"],
) -> dict[str, Tensor]:
    """Predictions of a regression in units of the target, (*m, b)."""
    values = output.squeeze(-1) if output.ndim > target_mean.ndim else output
    return {"value": values * target_std + target_mean}


def unscaled_values(
    output: Float[Tensor, "*m b t"],
    *,
    target_mean: Float[Tensor, "*m #b t"],
    target_std: Float[Tensor, "*m #b t"],
) -> dict[str, Tensor]:
    """Predictions of several values in units of the target, (*m, b, t)."""
    return {"value": output * target_std + target_mean}


def target_scale(samples: Samples, *, target: str) -> dict[str, np.ndarray | float]:
    """Mean and population standard deviation of a target; the deviation of a constant is 1.

    Args:
        samples: Training rows of a member; their target is (n,) or (n, t).
        target: Name of the target.
    """
    values = samples.targets[target].astype(np.float64)
    std = values.std(axis=0)
    scale = np.where((values == values[:1]).all(axis=0) | (std == 0), 1.0, std)
    if values.ndim == 1:
        return {"target_mean": float(values.mean()), "target_std": float(scale)}
    return {"target_mean": values.mean(axis=0), "target_std": scale}


def class_balance(
    samples: Samples, *, target: str, num_classes: int
) -> dict[str, np.ndarray | float]:
    """Class weights (k,) that balance the classes, as `class_weight="balanced"` of scikit-learn.

    Their mean over rows is 1; the weight of a class without rows is 1.
    """
    counts = np.bincount(samples.targets[target], minlength=num_classes)
    present = np.count_nonzero(counts)
    balanced = len(samples) / (present * np.maximum(counts, 1))
    return {"class_weights": np.where(counts > 0, balanced, 1.0)}
