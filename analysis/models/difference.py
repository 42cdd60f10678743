"""Significance tests of two models on the same test rows."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool
from scipy.stats import binomtest

from analysis.significance import ALPHA
from foldsweep.errors import UserError
from foldsweep.numbers import shown
from foldsweep.texts import text
from trainables.keep.measure import ACCURACY, Measured

RESAMPLES = 2000
"""Number of resamples of the test rows in a bootstrap."""
MOST_ROWS = 4_000_000
"""Largest number of rows in all resamples together: many test rows get fewer resamples."""
FEWEST = 400
"""Smallest number of resamples."""
_SEED = 0


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The outcome of a test."""

    better: bool
    """Whether the first model is significantly better."""
    said: str
    """Result of the test in words."""


def compared(
    name: str, ours: Measured, theirs: Measured, groups: np.ndarray | None = None
) -> Difference:
    """Test two models' values of a metric on the same rows.

    Accuracies are compared by McNemar's exact test, which assumes independent rows. All other
    metrics, and rows in groups, are compared by a bootstrap of the difference.

    Args:
        name: Name of the metric.
        ours: Values of the first model.
        theirs: Values of the second model.
        groups: Group of each row, if rows of a group are dependent; None for independent rows.

    Raises:
        UserError: If there are too few rows for the metric.
    """
    sign = ours.metric.sign
    if name == ACCURACY and ours.rows is not None and theirs.rows is not None and groups is None:
        p = mcnemar(ours.right, theirs.right)
        better = sign * (ours.value() - theirs.value()) > 0 and p < ALPHA
        return Difference(better=bool(better), said=text("difference.p-value", p=p))
    low, high = interval(ours, theirs, groups)
    better = low > 0 if sign > 0 else high < 0
    said = text("difference.interval", low=shown(low), high=shown(high))
    return Difference(better=bool(better), said=said)


def mcnemar(ours: Bool[np.ndarray, " n"], theirs: Bool[np.ndarray, " n"]) -> float:
    """Exact two-sided p-value of the hypothesis that two models are equally accurate on n rows.

    References:
        McNemar (1947), "Note on the sampling error of the difference between correlated
        proportions or percentages", Psychometrika 12.
    """
    only_ours, only_theirs = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
    differing = only_ours + only_theirs
    return float(binomtest(only_ours, differing).pvalue) if differing else 1.0


def interval(
    ours: Measured, theirs: Measured, groups: np.ndarray | None = None
) -> tuple[float, float]:
    """95 % percentile interval of the difference of two models, by resampling the same rows.

    With groups, whole groups are drawn. Resamples on which the metric is not defined, such as ROC
    AUC of one class, are left out.

    References:
        Efron and Tibshirani (1993), "An introduction to the bootstrap", chapter 13.

    Raises:
        UserError: If the metric is defined on fewer than half of the resamples.
    """
    size = len(ours)
    rng = np.random.default_rng(_SEED)
    members = None if groups is None else _members(groups)
    count = max(FEWEST, min(RESAMPLES, MOST_ROWS // size))
    differences = []
    for _ in range(count):
        if members is None:
            rows = rng.integers(size, size=size)
        else:
            drawn = rng.integers(len(members), size=len(members))
            rows = np.concatenate([members[i] for i in drawn])
        try:
            difference = ours.value(rows) - theirs.value(rows)
        except UserError:
            continue
        if np.isfinite(difference):
            differences.append(difference)
    if len(differences) < count / 2:
        raise UserError.of("difference.too-few-rows", rows=size)
    low, high = np.quantile(differences, [ALPHA / 2, 1 - ALPHA / 2])
    return float(low), float(high)


def _members(groups: np.ndarray) -> list[np.ndarray]:
    """Indices of the rows of each group."""
    places = np.unique(groups, return_inverse=True)[1]
    order = np.argsort(places, kind="stable")
    return np.split(order, np.cumsum(np.bincount(places))[:-1])
