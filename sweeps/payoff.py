"""The expected gain of more trials, and patience: the end of a sweep that no longer improves."""

import math
import statistics
from collections.abc import Sequence

from sweeps.outcomes import Ended

MORE = 20
"""Trials whose gain is estimated."""
LEAST_TRIED = 20
"""Trials needed for the estimate: with fewer, it is several times too high in replays."""


class Patience:
    """Early stopping of a sweep: counts the sampled trials since the last improvement.

    Args:
        most: Trials in a row without an improvement that end the sweep; None for no limit.
        sign: 1 where higher scores are better, -1 where lower ones are.
        num_initial: Initial points, which are the first trials and do not count.
    """

    def __init__(self, most: int | None, sign: int, num_initial: int):
        self.most = most
        self._sign = sign
        self._best: Ended | None = None
        self._improved_at = num_initial - 1

    def take(self, latest: int, trial: Ended) -> None:
        """Add a complete trial; `latest` is the number of the latest trial sampled by then."""
        if self._best is None or improves(trial, self._best, self._sign):
            self._improved_at = max(self._improved_at, latest)
        if self._best is None or self._sign * (trial.score - self._best.score) > 0:
            self._best = trial

    def is_over(self, latest: int) -> bool:
        """Whether the last `most` trials up to number `latest` are all without an improvement."""
        return self.most is not None and latest - self._improved_at >= self.most


def improves(trial: Ended, best: Ended, sign: int) -> bool:
    """Whether a trial is better than the best by more than the noise.

    The noise is the standard error of the mean paired difference over folds. It is unknown if
    there are no scores by fold; then any better score is an improvement.
    """
    if not trial.by_fold or not best.by_fold:
        return sign * (trial.score - best.score) > 0
    gains = [sign * (a - b) for a, b in zip(trial.by_fold, best.by_fold, strict=True)]
    return statistics.fmean(gains) > statistics.stdev(gains) / math.sqrt(len(gains))


def expected_gain(scores: Sequence[float], tried: int, *, more: int = MORE) -> float:
    """Expected gain of the best score by more trials, if all are drawn from one distribution.

    The estimate is the best of n trials minus the expected best of m = n² / (n + `more`) of them.
    Since n / m = (n + `more`) / n, the step from m to n trials is as long on a logarithmic axis as
    the step from n to n + `more` trials, so its gain is the estimate for that step. The expected
    best of m is that of Dodge et al. (2019), "Show your work: improved reporting of experimental
    results", EMNLP, but for draws without replacement.

    Args:
        scores: Scores of complete trials, higher is better.
        tried: Number of trials; those that are not complete count as the worst.
        more: Number of further trials.
    """
    ranked = sorted(scores, reverse=True)
    few = max(1, round(tried**2 / (tried + more)))
    # probabilities: that no better trial is among the few, and that this is the best of them
    none_better, mean = 1.0, 0.0
    for rank, score in enumerate(ranked):
        chance = none_better * few / (tried - rank) if rank <= tried - few else 0.0
        mean += chance * score
        none_better -= chance
    return ranked[0] - mean - none_better * ranked[-1]
