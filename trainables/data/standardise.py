"""Means and standard deviations of inputs, fitted on a member's training rows."""

import math

import numpy as np
from jaxtyping import Float

from foldsweep.errors import UserError
from trainables.tasks.task import Standardising


def normalisation(rows: Float[np.ndarray, "n ..."]) -> tuple[float, float]:
    """Mean and population standard deviation over all numbers of all rows.

    Both are computed in float64. Fit them on training rows, and apply them to held-out and test
    rows.

    Raises:
        UserError: If there are no rows, or all numbers are equal or not finite.
    """
    if len(rows) == 0:
        raise UserError.of("standardise.no-rows")
    mean = float(rows.mean(dtype=np.float64))
    std = float(rows.std(dtype=np.float64))
    if std == 0 or not math.isfinite(std):
        raise UserError.of("standardise.one-colour-or-not-finite", mean=mean, std=std)
    return mean, std


def constants(rows: np.ndarray, how: Standardising) -> tuple[np.ndarray, np.ndarray]:
    """Mean and population standard deviation, each of a shape that broadcasts to one row.

    The standard deviation of a constant channel or column is replaced by 1.

    Args:
        rows: Training rows, (n, ...); channels are the first axis of a row, columns the last.
        how: One mean for all numbers, one per channel, or one per column.

    Raises:
        UserError: If numbers are not finite; with `whole`, also if there are no rows or all
            numbers are equal.
    """
    if how == "whole":
        mean, std = normalisation(rows)
        ones = (1,) * (rows.ndim - 1)
        return np.full(ones, mean), np.full(ones, std)
    kept = 1 if how == "channels" else rows.ndim - 1
    axes = tuple(axis for axis in range(rows.ndim) if axis != kept)
    means = rows.mean(axis=axes, dtype=np.float64, keepdims=True)[0]
    stds = rows.std(axis=axes, dtype=np.float64, keepdims=True)[0]
    if not (np.isfinite(means).all() and np.isfinite(stds).all()):
        raise UserError.of("standardise.not-finite")
    return means, np.where(stds == 0, 1.0, stds)
