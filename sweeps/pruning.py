"""Early stopping as a function of the study alone, so that a resumed sweep prunes as before."""

import math
from collections.abc import Sequence

import optuna
from optuna.study import StudyDirection

from sweeps.settings import Scheduler, SweepSettings
from trainables.seeds import derive_seed

REDUCTION = 3
"""A rung lets one in so many trials go on, to so many times the epochs."""
LEAST_SAMPLED = REDUCTION**2
"""Sampled trials from which on a space's are stopped early: of as many, two rungs leave one."""
BRACKETS = 3
LEAST_RUNG = 3
"""Epochs before which a comparison says little, unless it is the only one."""


def rung_epochs(epochs: int, most: int | None = None) -> tuple[int, ...]:
    """Epochs at which trials are compared: a third of all epochs, a ninth, ... in rising order.

    Args:
        epochs: Epochs, or units of an estimator's resource, of a whole trial.
        most: Rungs at most, the last ones.
    """
    rungs: list[int] = []
    epoch = round(epochs / REDUCTION)
    while epoch >= LEAST_RUNG or (not rungs and epoch >= 1):
        rungs.append(epoch)
        epoch = round(epoch / REDUCTION)
    return tuple(reversed([r for r in rungs if r < epochs][:most]))


class RungPruner(optuna.pruners.BasePruner):
    """Asynchronous successive halving on what a study has recorded.

    A trial continues past a rung if it is in the top 1 / `REDUCTION` of those that have reached
    it, counting itself; the first to arrive always continues. With several brackets, trials fall
    into them by number; bracket b skips the b lowest rungs, and rungs are shared by all.

    References:
        Li et al. (2020), "A system for massively parallel hyperparameter tuning", MLSys.
    """

    def __init__(self, rungs: tuple[int, ...], *, brackets: int = 1):
        self.rungs = rungs
        self.brackets = min(brackets, max(len(rungs), 1))

    def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
        """Whether `trial` should stop after its last report."""
        step = trial.last_step
        bracket = derive_seed(trial.number) % self.brackets
        if step is None or step not in self.rungs[bracket:]:
            return False
        sign = 1 if study.direction == StudyDirection.MAXIMIZE else -1
        value = sign * trial.intermediate_values[step]
        others = [
            sign * t.intermediate_values[step]
            for t in study.get_trials(deepcopy=False)
            if step in t.intermediate_values and t.number != trial.number
        ]
        better = sum(other > value for other in others)
        return better >= max(1, (len(others) + 1) // REDUCTION)


def in_force(settings: SweepSettings, num_sampled: int) -> Scheduler:
    """What stops trials of a space early: `none` with several objectives or few sampled trials."""
    if len(settings.objective) > 1 or num_sampled < LEAST_SAMPLED:
        return "none"
    return settings.scheduler


def make_pruner(
    scheduler: Scheduler, epochs: int, rungs: tuple[int, ...]
) -> optuna.pruners.BasePruner:
    """The pruner of a scheduler; `rungs` are the epochs at which trials are compared."""
    if scheduler in ("asha", "hyperband"):
        brackets = BRACKETS if scheduler == "hyperband" else 1
        return RungPruner(rungs, brackets=brackets)
    if scheduler == "median":
        return optuna.pruners.MedianPruner(
            n_startup_trials=5, n_warmup_steps=math.ceil(epochs / 5), interval_steps=1
        )
    return optuna.pruners.NopPruner()


def reports(scheduler: Scheduler, epochs: int, rungs: tuple[int, ...]) -> tuple[int, ...]:
    """Epochs after which trials report: at the rungs where the scheduler has rungs."""
    return report_epochs(epochs, rungs=rungs if scheduler in ("asha", "hyperband") else ())


def report_epochs(epochs: int, *, rungs: Sequence[int] = (), at_most: int = 10) -> tuple[int, ...]:
    """Epochs after which a trial reports: the rungs, or about `at_most` evenly spaced ones.

    A report costs more than a short epoch, and where it falls must not depend on how fast a
    machine is, or pruning would.
    """
    if rungs:
        return tuple(sorted({e for e in rungs if e < epochs} | {epochs}))
    every = math.ceil(epochs / at_most)
    return tuple(range(every, epochs, every)) + (epochs,)
