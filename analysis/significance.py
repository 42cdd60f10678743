"""What the scores of trials on the same folds can decide: intervals, sets, the worth of a maximum.

The training parts of k folds overlap, so their scores are not independent, and the variance of a
mean is more than 1/n of a score's (Nadeau and Bengio). One interval decides everything else: it
holds for all differences of a comparison at once. Legend of shapes: t trials, n scores of each.

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
"""Chance that any interval of a comparison misses the true difference."""
POWER = 0.8
"""Chance with which a detectable difference is detected."""
MOST_REPEATS = 64
"""Repeats of the folds up to which a decision is looked for, in doublings."""

Verdict = Literal["better", "slightly better", "equivalent", "inconclusive"]
"""`slightly better`: better, by less than matters."""


@dataclass(frozen=True, kw_only=True)
class FoldNoise:
    """How uncertain the mean scores of trials are, as all trials on the same folds show it."""

    variances: Float[np.ndarray, " t"]
    """Variance of one score of each trial, moderated."""
    df: int
    """Degrees of freedom of these."""
    number: int
    """Scores of each trial."""
    overlap: float
    """Test rows per training row: what training parts share makes a mean as uncertain."""

    def error(self, a: int, b: int) -> float:
        """Standard error of the difference of two trials' means."""
        share = 1 / self.number + self.overlap
        return math.sqrt(share * float(self.variances[a] + self.variances[b]))


def fold_noise(
    scores: Float[np.ndarray, "t n"], *, overlap: float, resolution: float = 0.0
) -> FoldNoise:
    """Estimate the noise of two or more trials on the same folds.

    Each trial's variance is that of its scores without its mean and without the fold's, which all
    trials share. The variances are moderated (Smyth, section 6): they are taken as draws around a
    common one, and each is moved towards that one by as much as they agree. Only upwards: trials
    of a variant that is noisier than the others are not to borrow the others' certainty.

    Args:
        scores: Scores by fold, of one or more repeats of the cross-validation.
        overlap: Test rows per training row, 1 / (k - 1) for k folds.
        resolution: Smallest step of a score, such as 1 / 200 for an accuracy over 200 rows; 0 for
            scores that have none. A variance is at least what rounding to it brings, so that few
            scores that happen to agree do not look certain.

    Raises:
        ValueError: If there are fewer than two trials, or two scores of each.
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
    # whole degrees of freedom, rounded down: an interval is never too short for it
    return FoldNoise(variances=variances, df=max(1, int(df)), number=number, overlap=overlap)


def _common_variance(variances: Float[np.ndarray, " t"], df: int) -> tuple[float, float]:
    """Smyth's d0 and s0^2: how much variances agree, in degrees of freedom, and around what.

    Moments of their logarithms are matched; d0 is infinite where they differ by no more than
    chance.
    """
    if variances.max() == 0.0:
        return math.inf, 0.0
    # a variance of 0 is chance, and its logarithm would outweigh all others
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
    """What the scores say of `a - b`, in the scores' unit."""

    mean: float
    low: float
    """Lower end of the 95 % interval, which holds for all differences compared at once."""
    high: float
    p: float
    """Two-sided p-value of the test that this interval inverts."""
    detectable: float
    """Smallest true difference that would have been detected with a chance of 80 %."""

    def verdict(self, *, rope: float, sign: int) -> Verdict:
        """What the interval says of `a`.

        Args:
            rope: Half the width of the region of practical equivalence.
            sign: 1 where higher scores are better, -1 where lower are.
        """
        low, high = sorted((sign * self.low, sign * self.high))
        within = -rope < low and high < rope
        if low > 0:
            return "slightly better" if within else "better"
        return "equivalent" if within else "inconclusive"


def difference(mean: float, error: float, *, df: int, rows: int) -> Difference:
    """One of all differences of `rows` means, by Tukey's studentised range.

    Args:
        mean: Difference of two means.
        error: Its standard error.
        df: Degrees of freedom of that.
        rows: How many means are compared, each with each.
    """
    if error == 0.0:  # identical scores say nothing against equality; others differ for certain
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
    """Critical value for all differences of `rows` means, in standard errors."""
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
    """Repeats of the folds with which a true gap would be detected with a chance of 80 %.

    More repeats of the same rows do not take away what the training parts share, so there may be
    no such number.

    Args:
        noise: Noise of the trials.
        a: One trial.
        b: The other.
        gap: Size of the true difference of their means.
        rows: How many means are compared, each with each.
        num_folds: Folds of one repeat.
        fresh_rows: Whether each repeat has rows of its own.
    """
    overlap_of_one = noise.overlap * (noise.number / num_folds if fresh_rows else 1)
    variance = float(noise.variances[a] + noise.variances[b])
    if gap == 0.0 or variance == 0.0:
        return None
    repeats = 1
    while repeats <= MOST_REPEATS:
        df = max(noise.df, repeats * num_folds - 1)
        wide = tukey(rows, df) + float(stats.t.ppf(POWER, df))
        share = (gap / wide) ** 2 / variance  # which 1 / n and the overlap may be together
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
    """Trials from the best mean down, and how many of the first the scores cannot part."""

    order: tuple[int, ...]
    """All trials, best first."""
    undistinguished: int
    """So many of the first may be the best: every trial below is worse than the best one."""
    equivalent: int
    """So many of the first are equivalent to the best: whichever it is, they are worse by less
    than what matters."""
    detectable: float
    """Smallest true distance from the best that would have been detected with a chance of 80 %."""


def rank(
    scores: Float[np.ndarray, "t n"],
    *,
    overlap: float,
    resolution: float = 0.0,
    rope: float = 0.0,
    sign: int = 1,
) -> Ranking:
    """Compare all trials of the same folds with the best (Hsu's multiple comparisons).

    All statements hold at once at the level: t quantiles at `ALPHA / (t - 1)`, one-sided. Both
    sets are closed in the order of means, since a set that leaves out a better trial and keeps a
    worse one would say that more noise makes a trial better.

    Args:
        scores: Scores by fold, of one or more repeats of the cross-validation.
        overlap: Test rows per training row.
        resolution: Smallest step of a score, see `fold_noise`.
        rope: Half the width of the region of practical equivalence.
        sign: 1 where higher scores are better, -1 where lower are.
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
    # how much better each (rows) is than each (columns): at least, and at most
    ahead = means[:, None] - means
    at_least, at_most = ahead - one_sided * errors, ahead + one_sided * errors
    np.fill_diagonal(at_least, 0.0)
    np.fill_diagonal(at_most, 0.0)
    may_be_best = at_least.max(0) <= 0
    undistinguished = int(np.flatnonzero(may_be_best).max(initial=0)) + 1
    # behind whichever may be the best
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
    """What to expect of the best of many on fresh data.

    The maximum of many noisy means is too high, by the selection that made it the maximum. Each
    trial's mean is taken as its true value plus noise of its own moderated variance; the true
    values as normal around the median, with the variance that the upper half shows beyond noise,
    trials weighted by how little noise they have. The best is moved towards the median by the
    share of noise in its mean: the empirical Bayes estimate of Efron and Morris (1975), except
    that the lower half, where failed settings are, is left out. `docs/significance.md` compares it
    with alternatives by simulation.

    Args:
        scores: Scores of every trial on the same folds.
        overlap: Test rows per training row [that of folds of equal size, each scored once].
        resolution: Smallest step of a score, see `fold_noise`.
        sign: 1 where higher scores are better, -1 where lower are.
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
