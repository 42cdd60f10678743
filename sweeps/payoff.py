"""Whether more trials pay: what they may be expected to gain, and when nothing improves."""

import math
import statistics
from collections.abc import Sequence

from sweeps.ended import Ended

MORE = 20
"""Trials whose gain is estimated."""
LEAST_TRIED = 20
"""Trials from which it is: of fewer, it is several times too high on recorded sweeps."""


class Patience:
    """Counts the sampled trials since the one after which a complete trial was better.

    Args:
        most: Trials in a row that end the sweep; None if none do.
        sign: 1 where higher scores are better, -1 where lower ones are.
        num_initial: Initial points, which are the first trials and do not count.
    """

    def __init__(self, most: int | None, sign: int, num_initial: int):
        self.most = most
        self._sign = sign
        self._best: Ended | None = None
        self._improved_at = num_initial - 1

    def take(self, latest: int, trial: Ended) -> None:
        """Take in a complete trial, and the number of the trial that was sampled last by then."""
        if self._best is None or improves(trial, self._best, self._sign):
            self._improved_at = max(self._improved_at, latest)
        if self._best is None or self._sign * (trial.score - self._best.score) > 0:
            self._best = trial

    def is_over(self, latest: int) -> bool:
        """Whether trials up to a number were tried in vain."""
        return self.most is not None and latest - self._improved_at >= self.most


def improves(trial: Ended, best: Ended, sign: int) -> bool:
    """Whether a trial is better than the best by more than the noise.

    The noise is the standard error of the mean of their differences by fold. Where folds have no
    scores of their own it is not known, and anything better counts.
    """
    if not trial.by_fold or not best.by_fold:
        return sign * (trial.score - best.score) > 0
    gains = [sign * (a - b) for a, b in zip(trial.by_fold, best.by_fold, strict=True)]
    return statistics.fmean(gains) > statistics.stdev(gains) / math.sqrt(len(gains))


def expected_gain(scores: Sequence[float], tried: int, *, more: int = MORE) -> float:
    """What the best may be expected to gain by more trials, as if all were drawn alike.

    The best of n trials less the expected best of m of them, where n is to n + `more` as m is to
    n: the last step of the curve of the best over the number of trials, on a logarithmic scale.
    The expected best of m is that of Dodge et al. (2019), "Show your work: improved reporting of
    experimental results", EMNLP, but of trials that are drawn without replacement.

    Args:
        scores: Of complete trials, higher is better.
        tried: Trials, those that are not complete included: none of them is better than any.
        more: Trials to come.
    """
    ranked = sorted(scores, reverse=True)
    few = max(1, round(tried**2 / (tried + more)))
    # that none of the better ones is among the few, and that the next is
    none_better, mean = 1.0, 0.0
    for rank, score in enumerate(ranked):
        chance = none_better * few / (tried - rank) if rank <= tried - few else 0.0
        mean += chance * score
        none_better -= chance
    return ranked[0] - mean - none_better * ranked[-1]
