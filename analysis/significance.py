"""Is the better one really better? Tests on scores of the same folds; what a maximum is worth.

The training parts of k folds overlap, so their scores are not independent and the plain t-test
finds differences where there are none. Legend of shapes: n scores, k folds, t trials.

References:
    Nadeau and Bengio (2003), "Inference for the generalization error", Machine Learning 52.
    Benavoli, Corani, Demsar and Zaffalon (2017), "Time for a change: a tutorial for comparing
    multiple classifiers through Bayesian analysis", JMLR 18.
    Holm (1979), "A simple sequentially rejective multiple test procedure", Scand. J. Statistics 6.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

ALPHA = 0.05
"""Significance level of all tests."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What the scores say of `a - b`, in the scores' unit."""

    mean: float
    """Mean difference."""
    low: float
    """Lower end of its 95 % interval, corrected for overlap."""
    high: float
    t: float
    p: float
    """Two-sided p-value of the corrected resampled t-test."""
    p_better: float
    """Posterior probability that a is better by more than the region of practical equivalence."""
    p_equal: float
    p_worse: float


def difference(
    a: Float[np.ndarray, " n"],
    b: Float[np.ndarray, " n"],
    *,
    num_folds: int,
    rope: float = 0.0,
    resolution: float = 0.0,
    sign: int = 1,
) -> Difference:
    """Compare two configurations by their scores on the same folds.

    With d = a - b, the variance of its mean is estimated as (1 / n + test / train) var(d), where
    test / train = 1 / (k - 1) for folds (Nadeau and Bengio, eq. 9). With flat priors the posterior
    of the true difference is a Student t with the same location and scale (Benavoli et al., eq. 3,
    with correlation 1 / k), whose mass the region of practical equivalence cuts in three.

    Args:
        a: Scores of one configuration: by fold, of one or more repeats of the cross-validation.
        b: Scores of the other on the same folds, in the same order.
        num_folds: Folds of one repeat.
        rope: Half the width of the region of practical equivalence, in the scores' unit.
        resolution: Smallest step of a score, such as 1 / 200 for an accuracy over 200 rows; 0 for
            scores that have none. The variance is taken to be at least what rounding to it brings,
            so that few scores that happen to differ by the same amount do not look certain.
        sign: 1 where higher scores are better, -1 where lower are.

    Raises:
        ValueError: If there are fewer than two scores, or not the same number of both.
    """
    if len(a) != len(b) or len(a) < 2:
        raise ValueError(f"need the same two or more scores of both, not {len(a)} and {len(b)}")
    d = np.asarray(a, dtype=float) - np.asarray(b, dtype=float)
    n = len(d)
    mean = float(d.mean())
    variance = max(float(d.var(ddof=1)), resolution**2 / 12)
    scale = float(np.sqrt((1 / n + 1 / (num_folds - 1)) * variance))
    if scale == 0.0:  # identical scores say nothing against equality; others differ for certain
        t = 0.0 if mean == 0.0 else float(np.copysign(np.inf, mean))
        p = 1.0 if mean == 0.0 else 0.0
        better, worse = (float(mean > rope), float(mean < -rope))[::sign]
        return Difference(
            mean=mean,
            low=mean,
            high=mean,
            t=t,
            p=p,
            p_better=better,
            p_equal=1.0 - better - worse,
            p_worse=worse,
        )
    posterior = stats.t(df=n - 1, loc=mean, scale=scale)
    better, worse = (float(posterior.sf(rope)), float(posterior.cdf(-rope)))[::sign]
    low, high = posterior.interval(1 - ALPHA)
    return Difference(
        mean=mean,
        low=float(low),
        high=float(high),
        t=mean / scale,
        p=float(2 * stats.t.sf(abs(mean) / scale, n - 1)),
        p_better=better,
        p_equal=1.0 - better - worse,
        p_worse=worse,
    )


def holm(p: Sequence[float]) -> list[float]:
    """P-values adjusted so that the chance of any false claim among them stays at the level."""
    order = np.argsort(p, kind="stable")
    adjusted = [0.0] * len(p)
    highest = 0.0
    for place, i in enumerate(order):
        highest = max(highest, min(1.0, (len(p) - place) * p[i]))
        adjusted[i] = highest
    return adjusted


def like_the_best(
    scores: Float[np.ndarray, "t n"], *, num_folds: int, resolution: float = 0.0, sign: int = 1
) -> list[int]:
    """Trials that cannot be told from the best: those that the test against it does not reject.

    Holm's correction over all comparisons with the best keeps the chance of leaving out one that
    is as good at the level. `sign` is 1 where higher scores are better, -1 where lower are.

    Returns:
        Indices of the trials, best first.
    """
    means = scores.mean(1)
    order = [int(i) for i in np.argsort(-sign * means, kind="stable")]
    best, others = order[0], order[1:]
    p = [
        difference(scores[best], scores[i], num_folds=num_folds, resolution=resolution).p
        for i in others
    ]
    kept = [i for i, adjusted in zip(others, holm(p), strict=True) if adjusted >= ALPHA]
    return [best, *kept]


def shrunken_best(
    scores: Float[np.ndarray, "t n"], *, num_folds: int | None = None, sign: int = 1
) -> float:
    """What to expect of the best of many on fresh data.

    The maximum of many noisy means is too high by the luck that made it the maximum. Each
    trial's mean is taken as its true value plus noise of the variance that the corrected test
    uses; the true values as normal around the median, with the variance that the upper half shows
    beyond noise. The best is moved towards the median by the share of noise in that: the empirical
    Bayes estimate of Efron and Morris (1975), except that the lower half, with its failed
    settings, has no say. `docs/significance.md` compares it with alternatives by simulation.

    Args:
        scores: Scores of every trial on the same folds.
        num_folds: Folds of one repeat [all scores of a trial are of one].
        sign: 1 where higher scores are better, -1 where lower are.
    """
    if sign < 0:
        return -shrunken_best(-scores, num_folds=num_folds)
    number = scores.shape[1]
    num_folds = number if num_folds is None else num_folds
    means = scores.mean(1)
    if len(means) < 2:
        return float(means.max())
    residuals = scores - means[:, None] - (scores.mean(0) - scores.mean())
    freedom = (len(means) - 1) * (number - 1)
    noise = (residuals**2).sum() / freedom * (1 / number + 1 / (num_folds - 1))
    middle = float(np.median(means))
    seen = float(((means[means >= middle] - middle) ** 2).mean())
    if seen == 0.0:
        return middle
    kept = max(seen - float(noise), 0.0) / seen
    return middle + kept * (float(means.max()) - middle)
