"""Early stopping as a function of the study alone, so that a resumed sweep prunes as before."""

import abc
import math
from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from sweeps.settings import Scheduler, SweepSettings
from trainables.seeds import derive_seed

REDUCTION = 3
"""Reduction factor: the top 1/3 of trials at a rung continues to 3x the epochs."""
LEAST_SAMPLED = REDUCTION**2
"""Minimum number of sampled trials for early stopping in a space: two rungs leave one of 9."""
BRACKETS = 3
LEAST_RUNG = 3
"""Minimum epochs of a rung, as an earlier comparison says little; a single rung may be lower."""


def rung_epochs(epochs: int, most: int | None = None) -> tuple[int, ...]:
    """Epochs at which trials are compared: a third of all epochs, a ninth, ... in rising order.

    Args:
        epochs: Epochs, or units of an estimator's resource, of a whole trial.
        most: Maximum number of rungs, of which the last are kept; None for no limit.
    """
    rungs: list[int] = []
    epoch = round(epochs / REDUCTION)
    while epoch >= LEAST_RUNG or (not rungs and epoch >= 1):
        rungs.append(epoch)
        epoch = round(epoch / REDUCTION)
    return tuple(reversed([r for r in rungs if r < epochs][:most]))


class Reports:
    """Reported values of the objective by epoch: the only input of early stopping.

    Args:
        higher: Whether a higher value is better.
    """

    def __init__(self, *, higher: bool):
        self.higher = higher
        self.num_complete = 0
        """Trials that have trained all their epochs."""
        self._all: dict[int, list[float]] = defaultdict(list)
        self._complete: dict[int, list[float]] = defaultdict(list)

    def add(self, epoch: int, value: float) -> None:
        """Add a report of any trial."""
        insort(self._all[epoch], value)

    def add_complete(self, curve: Mapping[int, float]) -> None:
        """Note that a trial is complete; `curve` has its reports by epoch, all added before."""
        self.num_complete += 1
        for epoch, value in curve.items():
            self._complete[epoch].append(value)

    def at(self, epoch: int) -> Sequence[float]:
        """Values that all trials reported after an epoch, in rising order."""
        return self._all.get(epoch, ())

    def of_complete(self, epoch: int) -> Sequence[float]:
        """Values that complete trials reported after an epoch."""
        return self._complete.get(epoch, ())


class AbstractRule(abc.ABC):
    """Early-stopping rule; equal reports give equal decisions."""

    def reads(self, epoch: int) -> bool:
        """Whether the rule may use the reports after an epoch."""
        return True

    def mean_epochs(self, epochs: int, trained: int = 0) -> float:
        """Expected number of epochs of a trial of at most `epochs` that has `trained` some."""
        return epochs

    @abc.abstractmethod
    def stops(self, number: int, curve: Mapping[int, float], others: Reports) -> bool:
        """Whether a trial should stop after its last report.

        Args:
            number: Number of the trial.
            curve: Its reports by epoch.
            others: All reports except the last one of this trial.
        """


@dataclass(frozen=True)
class RungRule(AbstractRule):
    """Asynchronous successive halving on what a study has recorded.

    A trial continues past a rung if it is in the top 1 / `REDUCTION` of those that have reached
    it, counting itself; the first to arrive always continues. With several brackets, a trial is
    assigned to one by its number; bracket b skips the b lowest rungs, and all brackets share the
    rungs. There are no more brackets than rungs.

    References:
        Li et al. (2020), "A system for massively parallel hyperparameter tuning", MLSys.
    """

    rungs: tuple[int, ...]
    brackets: int = 1

    def reads(self, epoch: int) -> bool:
        return epoch in self.rungs

    def mean_epochs(self, epochs: int, trained: int = 0) -> float:
        means = []
        for bracket in range(min(self.brackets, max(len(self.rungs), 1))):
            rungs = (rung for rung in self.rungs[bracket:] if trained < rung < epochs)
            steps = enumerate(pairwise([trained, *rungs, epochs]))
            means.append(trained + sum((b - a) / REDUCTION**i for i, (a, b) in steps))
        return sum(means) / len(means)

    def stops(self, number: int, curve: Mapping[int, float], others: Reports) -> bool:
        epoch = max(curve)
        bracket = derive_seed(number) % min(self.brackets, max(len(self.rungs), 1))
        if epoch not in self.rungs[bracket:]:
            return False
        value, reached = curve[epoch], others.at(epoch)
        lower = bisect_left(reached, value)
        better = len(reached) - bisect_right(reached, value) if others.higher else lower
        return better >= max(1, (len(reached) + 1) // REDUCTION)


@dataclass(frozen=True)
class MedianRule(AbstractRule):
    """Stops a trial whose best value so far is worse than the median of complete trials then.

    The rule of Optuna's `MedianPruner`, which reads all trials for each decision.

    Args:
        warmup: Epochs before which no trial is stopped.
        least: Complete trials before which no trial is stopped.
    """

    warmup: int
    least: int = 5

    def stops(self, number: int, curve: Mapping[int, float], others: Reports) -> bool:
        epoch = max(curve)
        values = others.of_complete(epoch)
        if others.num_complete < self.least or epoch < self.warmup or not values:
            return False
        median = float(np.percentile(values, 50.0))
        if others.higher:
            return max(curve.values()) < median
        return min(curve.values()) > median


class NoRule(AbstractRule):
    """Stops no trial."""

    def reads(self, epoch: int) -> bool:
        return False

    def stops(self, number: int, curve: Mapping[int, float], others: Reports) -> bool:
        return False


def in_force(settings: SweepSettings, num_sampled: int) -> Scheduler:
    """Scheduler in use for a space: `none` with several objectives or too few sampled trials."""
    if len(settings.objective) > 1 or num_sampled < LEAST_SAMPLED:
        return "none"
    return settings.scheduler


def make_rule(scheduler: Scheduler, epochs: int, rungs: tuple[int, ...]) -> AbstractRule:
    """The rule of a scheduler; `rungs` are the epochs at which trials are compared."""
    if scheduler in ("asha-stop", "hyperband"):
        return RungRule(rungs, brackets=BRACKETS if scheduler == "hyperband" else 1)
    return MedianRule(warmup=math.ceil(epochs / 5)) if scheduler == "median" else NoRule()


def reports(scheduler: Scheduler, epochs: int, rungs: tuple[int, ...]) -> tuple[int, ...]:
    """Epochs after which trials report: a scheduler's rungs if it has any; see `report_epochs`."""
    has_rungs = scheduler in ("asha", "asha-stop", "hyperband")
    return report_epochs(epochs, rungs=rungs if has_rungs else ())


def report_epochs(epochs: int, *, rungs: Sequence[int] = (), at_most: int = 10) -> tuple[int, ...]:
    """Epochs after which a trial reports: the rungs, or about `at_most` evenly spaced ones.

    Trials do not report every epoch, as a report costs more than a short epoch. Which
    epochs report must not depend on the speed of a machine, or pruning would depend on it, too.
    """
    if rungs:
        return tuple(sorted({e for e in rungs if e < epochs} | {epochs}))
    every = math.ceil(epochs / at_most)
    return tuple(range(every, epochs, every)) + (epochs,)
