"""Statistical tests of trials on the same folds: intervals, sets of best trials, selection bias.

The training parts of k folds overlap, so their scores are not independent, and the variance of a
mean is more than 1/n of a score's (Nadeau and Bengio). All verdicts follow from intervals that
hold for all differences of a comparison at once. Legend of shapes: t trials, n scores of each.

References:
    Nadeau and Bengio (2003), "Inference for the generalization error", Machine Learning 52.
    Smyth (2004), "Linear models and empirical Bayes methods for assessing differential expression
    in microarray experiments", Statistical Applications in Genetics and Molecular Biology 3.
    Hsu (1996), "Multiple comparisons: theory and methods", Chapman and Hall, chapter 4.
    Tukey (1953) and Kramer (1956): the studentised range for all differences.
    Efron and Morris (1975), "Data analysis using Stein's estimator", JASA 70.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy import optimize, special, stats

ALPHA = 0.05
"""Probability that any interval of a comparison misses its true difference."""
POWER = 0.8
"""Probability of detecting a detectable difference."""
MOST_REPEATS = 64
"""Largest number of repeats of the folds that is tried for a decision; tried by doubling."""

Verdict = Literal["better", "slightly better", "equivalent", "inconclusive"]
"""`slightly better` means significantly better, but by less than the rope."""


@dataclass(frozen=True, kw_only=True)
class FoldNoise:
    """Uncertainty of trials' mean scores, estimated from all trials on the same folds."""

    variances: Float[np.ndarray, " t"]
    """Variance of one score of each trial, moderated."""
    df: int
    """Degrees of freedom of `variances`."""
    number: int
    """Number of scores of each trial."""
    overlap: float
    """Ratio of test rows to training rows. As training parts overlap, the variance of a mean is
    (1 / `number` + `overlap`) times that of one score."""

    def error(self, a: int, b: int) -> float:
        """Standard error of the difference of two trials' means."""
        share = 1 / self.number + self.overlap
        return math.sqrt(share * float(self.variances[a] + self.variances[b]))


def fold_noise(
    scores: Float[np.ndarray, "t n"], *, overlap: float, resolution: float = 0.0
) -> FoldNoise:
    """Estimate the noise of two or more trials on the same folds.

    Each trial's variance is that of its scores after removing the means of trial and fold. The
    variances are moderated (Smyth, section 6): they are treated as draws around a common variance,
    and each is shrunk towards it, more strongly the more the variances agree. They are moved
    upwards only, so that trials of a noisier variant do not gain certainty from the others.

    Args:
        scores: Scores by fold, of one or more repeats of the cross-validation.
        overlap: Ratio of test rows to training rows, 1 / (k - 1) for k folds.
        resolution: Smallest step of a score, such as 1 / 200 for an accuracy over 200 rows; 0 for
            continuous scores. The variance is at least that of rounding to this step, so that a
            few scores that agree by chance do not look certain.

    Raises:
        ValueError: If there are fewer than two trials, or fewer than two scores of each.
    """
    if min(scores.shape) < 2:
        raise ValueError(f"need two trials and two scores of each, not {scores.shape}")
    size, number = scores.shape
    residuals = scores - scores.mean(1, keepdims=True) - (scores.mean(0) - scores.mean())
    raw = (residuals**2).sum(1) / ((number - 1) * (1 - 1 / size))
    raw = np.maximum(raw, resolution**2 / 12)
    prior_df, prior = _common_variance(raw, number - 1)
    share = 0.0 if math.isinf(prior_df) else (number - 1) / (prior_df + number - 1)
    variances = np.maximum(prior + share * (raw - prior), raw)
    df = min(prior_df + number - 1, (size - 1) * (number - 1))
    # integer degrees of freedom, rounded down so that an interval is never too short
    return FoldNoise(variances=variances, df=max(1, int(df)), number=number, overlap=overlap)


def _common_variance(variances: Float[np.ndarray, " t"], df: int) -> tuple[float, float]:
    """Smyth's d0 and s0^2: prior degrees of freedom and prior variance.

    Moments of the logarithms of the variances are matched; d0 is infinite if the variances differ
    by no more than chance.
    """
    if variances.max() == 0.0:
        return math.inf, 0.0
    # a variance of 0 is due to chance, and its logarithm would dominate all others
    logs = np.log(np.maximum(variances, 1e-5 * np.median(variances[variances > 0])))
    logs = logs - special.digamma(df / 2) + math.log(df / 2)
    spread = float(logs.var(ddof=1)) - float(special.polygamma(1, df / 2))
    if spread < 1e-9:
        return math.inf, float(variances.mean())
    half = float(optimize.brentq(lambda x: special.polygamma(1, x) - spread, 1e-6, 1e12))
    prior = math.exp(float(logs.mean()) + float(special.digamma(half)) - math.log(half))
    return 2 * half, prior


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The difference of two means, `a - b`, with interval and test, in the scores' unit."""

    mean: float
    low: float
    """Lower end of the 95 % interval, which holds for all differences compared at once."""
    high: float
    p: float
    """Two-sided p-value of the test that this interval inverts."""
    detectable: float
    """Smallest true difference that would have been detected with a power of 80 %."""

    def verdict(self, *, rope: float, sign: int) -> Verdict:
        """The verdict on `a` against `b` that follows from the interval.

        Args:
            rope: Half the width of the region of practical equivalence.
            sign: 1 if higher scores are better, -1 if lower scores are.
        """
        low, high = sorted((sign * self.low, sign * self.high))
        within = -rope < low and high < rope
        if low > 0:
            return "slightly better" if within else "better"
        return "equivalent" if within else "inconclusive"


def difference(mean: float, error: float, *, df: int, rows: int) -> Difference:
    """Test one of all pairwise differences of `rows` means, by Tukey's studentised range.

    Args:
        mean: Difference of two means.
        error: Standard error of the difference.
        df: Degrees of freedom of the standard error.
        rows: Number of means that are compared, each with each.
    """
    if error == 0.0:  # without noise: equal means have p = 1, others differ for certain
        return Difference(mean=mean, low=mean, high=mean, p=float(mean == 0.0), detectable=0.0)
    wide = tukey(rows, df) * error
    return Difference(
        mean=mean,
        low=mean - wide,
        high=mean + wide,
        p=_tukey_p(abs(mean) / error, rows, df),
        detectable=wide + float(stats.t.ppf(POWER, df)) * error,
    )


@lru_cache(maxsize=1024)
def tukey(rows: int, df: int) -> float:
    """Critical value for all pairwise differences of `rows` means, in standard errors."""
    if rows == 2:
        return float(stats.t.isf(ALPHA / 2, df))
    return float(stats.studentized_range.isf(ALPHA, rows, df)) / math.sqrt(2)


def _tukey_p(t: float, rows: int, df: int) -> float:
    if rows == 2:
        return float(2 * stats.t.sf(t, df))
    return float(np.clip(stats.studentized_range.sf(t * math.sqrt(2), rows, df), 0.0, 1.0))


def repeats_to_decide(
    noise: FoldNoise,
    a: int,
    b: int,
    *,
    gap: float,
    rows: int,
    num_folds: int,
    fresh_rows: bool = False,
) -> int | None:
    """Number of repeats of the folds that would detect a true gap with a power of 80 %.

    None if up to `MOST_REPEATS` repeats would not: more repeats of the same rows do not reduce the
    uncertainty from overlapping training parts. None also without a gap or noise.

    Args:
        noise: Noise of the trials.
        a: Index of one trial.
        b: Index of the other trial.
        gap: Size of the true difference of their means.
        rows: Number of means that are compared, each with each.
        num_folds: Number of folds in one repeat.
        fresh_rows: Whether each repeat has its own rows.
    """
    overlap_of_one = noise.overlap * (noise.number / num_folds if fresh_rows else 1)
    variance = float(noise.variances[a] + noise.variances[b])
    if gap == 0.0 or variance == 0.0:
        return None
    repeats = 1
    while repeats <= MOST_REPEATS:
        df = max(noise.df, repeats * num_folds - 1)
        wide = tukey(rows, df) + float(stats.t.ppf(POWER, df))
        share = (gap / wide) ** 2 / variance  # upper limit of 1 / n plus the overlap
        if fresh_rows:
            needed = (1 / num_folds + overlap_of_one) / share
        else:
            needed = (
                1 / ((share - overlap_of_one) * num_folds) if share > overlap_of_one else math.inf
            )
        if needed <= repeats:
            return max(math.ceil(needed), repeats // 2 + 1)
        repeats *= 2
    return None


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """Trials ordered by mean, and how many of the first are indistinguishable or equivalent."""

    order: tuple[int, ...]
    """Indices of all trials, best first."""
    undistinguished: int
    """Number of first trials that may be the best: every later trial is significantly worse than
    the best."""
    equivalent: int
    """Number of first trials that are equivalent to the best: worse by less than the rope than
    each trial that may be the best."""
    detectable: float
    """Smallest true distance from the best that would have been detected with a power of 80 %."""


def rank(
    scores: Float[np.ndarray, "t n"],
    *,
    overlap: float,
    resolution: float = 0.0,
    rope: float = 0.0,
    sign: int = 1,
) -> Ranking:
    """Compare all trials on the same folds with the best (Hsu's multiple comparisons).

    All statements hold simultaneously at level `ALPHA`: one-sided t quantiles are taken at
    `ALPHA / (t - 1)`. Both sets consist of the first trials in order of the mean: otherwise a set
    could contain a trial and leave out one with a better mean, only because their noise differs.

    Args:
        scores: Scores by fold, of one or more repeats of the cross-validation.
        overlap: Ratio of test rows to training rows.
        resolution: Smallest step of a score, see `fold_noise`.
        rope: Half the width of the region of practical equivalence.
        sign: 1 if higher scores are better, -1 if lower scores are.
    """
    means = sign * scores.mean(1)
    order = np.argsort(-means, kind="stable")
    if len(order) < 2:
        return Ranking(order=(0,), undistinguished=1, equivalent=1, detectable=0.0)
    noise = fold_noise(scores[order], overlap=overlap, resolution=resolution)
    means = means[order]
    one_sided = float(stats.t.isf(ALPHA / (len(order) - 1), noise.df))
    variances = noise.variances[:, None] + noise.variances
    errors = np.sqrt((1 / noise.number + overlap) * variances)
    # lower and upper limit of how much better each trial (rows) is than each other (columns)
    ahead = means[:, None] - means
    at_least, at_most = ahead - one_sided * errors, ahead + one_sided * errors
    np.fill_diagonal(at_least, 0.0)
    np.fill_diagonal(at_most, 0.0)
    may_be_best = at_least.max(0) <= 0
    undistinguished = int(np.flatnonzero(may_be_best).max(initial=0)) + 1
    # distance from every trial that may be the best
    near = at_most[:undistinguished].max(0) < rope
    near[0] = True
    equivalent = len(near) if near.all() else int(np.flatnonzero(~near)[0])
    return Ranking(
        order=tuple(int(i) for i in order),
        undistinguished=undistinguished,
        equivalent=equivalent,
        detectable=(one_sided + float(stats.t.ppf(POWER, noise.df)))
        * float(np.median(errors[0, 1:])),
    )


def shrunken_best(
    scores: Float[np.ndarray, "t n"],
    *,
    overlap: float | None = None,
    resolution: float = 0.0,
    sign: int = 1,
) -> float:
    """Expected score of the best of many trials on fresh data, corrected for selection bias.

    The maximum of many noisy means is biased upwards by selection. The model: each trial's mean is
    its true value plus noise with the trial's moderated variance; true values are normal around
    the median. Their variance is estimated from the upper half, as the variance beyond noise, with
    trials weighted by inverse noise variance. The best is shrunk towards the median by the share
    of noise in its mean: the empirical Bayes estimate of Efron and Morris (1975), except that the
    lower half, which contains failed settings, is left out. `docs/significance.md` compares the
    estimate with alternatives by simulation.

    Args:
        scores: Scores of every trial on the same folds.
        overlap: Ratio of test rows to training rows [that of folds of equal size, each scored
            once].
        resolution: Smallest step of a score, see `fold_noise`.
        sign: 1 if higher scores are better, -1 if lower scores are.
    """
    if sign < 0:
        return -shrunken_best(-scores, overlap=overlap, resolution=resolution)
    number = scores.shape[1]
    overlap = 1 / (number - 1) if overlap is None else overlap
    means = scores.mean(1)
    best = int(means.argmax())
    if len(means) < 2:
        return float(means[best])
    found = fold_noise(scores, overlap=overlap, resolution=resolution)
    noise = (1 / number + overlap) * found.variances
    if noise.min() == 0.0:
        return float(means[best])
    middle = float(np.median(means))
    upper = means >= middle
    weight = 1 / noise[upper]
    beyond = float((weight * (means[upper] - middle) ** 2).sum() - len(weight)) / weight.sum()
    kept = beyond / (beyond + noise[best]) if beyond > 0 else 0.0
    return middle + float(kept) * (float(means[best]) - middle)
