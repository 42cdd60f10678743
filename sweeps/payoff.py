"""When the sweep of a space has stopped paying: nothing improves on its best beyond the noise."""

import math
import statistics
from collections.abc import Mapping

from optuna.trial import TrialState

from sweeps.ended import Ended


class Patience:
    """Counts the sampled trials in a row that have not improved on the best.

    A function of the trials by number, of those before which all have ended: neither when they
    end nor a resumption changes it.

    Args:
        most: Trials in a row that end the sweep; None if none do.
        sign: 1 where higher scores are better, -1 where lower ones are.
    """

    def __init__(self, most: int | None, sign: int):
        self._most = most
        self._sign = sign
        self._best: Ended | None = None
        self._looked_at = 0
        self._in_vain = 0

    def is_over(self, ended: Mapping[int, Ended]) -> bool:
        """Whether there were so many; once there were, what still trained changes nothing."""
        if self._most is None:
            return False
        while self._in_vain < self._most and (trial := ended.get(self._looked_at)) is not None:
            self._looked_at += 1
            self._look_at(trial)
        return self._in_vain >= self._most

    def _look_at(self, trial: Ended) -> None:
        is_whole = trial.state == TrialState.COMPLETE
        if is_whole and (self._best is None or improves(trial, self._best, self._sign)):
            self._in_vain = 0
        elif trial.is_sampled:
            self._in_vain += 1
        gain = 0.0 if self._best is None or not is_whole else trial.score - self._best.score
        if is_whole and (self._best is None or self._sign * gain > 0):
            self._best = trial


def improves(trial: Ended, best: Ended, sign: int) -> bool:
    """Whether a trial is better than the best by more than the noise.

    The noise is the standard error of the mean of their differences by fold. Where folds have no
    scores of their own it is not known, and anything better counts.
    """
    if not trial.by_fold or not best.by_fold:
        return sign * (trial.score - best.score) > 0
    gains = [sign * (a - b) for a, b in zip(trial.by_fold, best.by_fold, strict=True)]
    return statistics.fmean(gains) > statistics.stdev(gains) / math.sqrt(len(gains))
