"""Jobs, each of which trains a trial up to a rung; rungs of a sweep and lags of its sampler."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from foldsweep.errors import UserError
from sweeps.pruning import LEAST_SAMPLED, REDUCTION, rung_epochs
from sweeps.settings import SweepSettings

LAST_REDUCTION = 2
"""Reduction factor of the last of several rungs, chosen by replay, see docs/policies.md."""
LAGS = (4, 16)
"""Lags at the first rung and at the last epoch; lags in between rise geometrically."""
LAG_OF_WHOLE = 8
"""Lag if trials are not compared before their last epoch."""

DIVERGED = -math.inf
"""Score of a trial whose loss became non-finite: a valid result, the worst possible one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """Epochs after which trials are compared."""

    epochs: int
    reduction: int = REDUCTION
    """Reduction factor: of n scores at the rung, the best floor(n / reduction) are promoted."""


def rungs_of(settings: SweepSettings, epochs: int, most: int | None = None) -> tuple[Rung, ...]:
    """Rungs at which a sweep pauses trials, at the epochs of `sweeps.pruning.rung_epochs`.

    Empty unless the scheduler is `asha` and there is a single objective.
    """
    if settings.scheduler != "asha" or len(settings.objective) > 1:
        return ()
    rungs = [Rung(epochs=epoch) for epoch in rung_epochs(epochs, most)]
    if len(rungs) > 1:
        rungs[-1] = Rung(epochs=rungs[-1].epochs, reduction=LAST_REDUCTION)
    return tuple(rungs)


def lags_of(settings: SweepSettings, num_rungs: int) -> tuple[int, ...]:
    """Lags of the results that the sampler sees: one for each rung and one for the last epoch.

    Raises:
        UserError: If `--lag` has neither one number nor one for each rung and the last epoch.
    """
    if settings.lag:
        if len(settings.lag) not in (1, num_rungs + 1):
            raise UserError.of(
                "jobs.wrong-number-of-lags",
                lags=" ".join(map(str, settings.lag)),
                number=len(settings.lag),
                needed=num_rungs + 1,
                rungs=num_rungs,
            )
        return settings.lag if len(settings.lag) > 1 else settings.lag * (num_rungs + 1)
    first, last = LAGS
    if not num_rungs:
        return (LAG_OF_WHOLE,)
    ratio = last / first
    return tuple(round(first * ratio ** (rung / num_rungs)) for rung in range(num_rungs + 1))


@dataclass(frozen=True, slots=True)
class Train:
    """Train a trial up to the rung with this index; the last epoch counts as one more rung."""

    trial: int
    rung: int


@dataclass(frozen=True, slots=True)
class Sample:
    """Sample a new configuration as this trial, see `Promotion.add`."""

    trial: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait: there is no job to start until another one has ended."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The sweep is over."""


Decision = Train | Sample | Wait | Finished


def stops(
    rungs: Sequence[Rung], epochs: int, pretrain_epochs: int = 0, *, sampled: int
) -> tuple[int, ...]:
    """Targets of the jobs of a new trial: indices of rungs, and one more for its last epoch.

    Rungs inside pretraining or beyond the trial's own epochs are skipped. If there are too few
    sampled trials to compare, all rungs are skipped.

    Args:
        rungs: Rungs of the sweep.
        epochs: Epochs of the whole trial.
        pretrain_epochs: Epochs of pretraining, during which there is nothing to compare.
        sampled: Number of trials of the sweep that are not initial points.
    """
    last = len(rungs)
    if sampled < LEAST_SAMPLED:
        return (last,)
    return (*(i for i, r in enumerate(rungs) if pretrain_epochs < r.epochs < epochs), last)


def mean_epochs(rungs: Sequence[Rung], epochs: int, trained: int = 0) -> float:
    """Expected total epochs of a trial of at most `epochs`, `trained` of which are done."""
    mean, share, begin = float(trained), 1.0, trained
    for rung in rungs:
        if trained < rung.epochs < epochs:
            mean += share * (rung.epochs - begin)
            share, begin = share / rung.reduction, rung.epochs
    return mean + share * (epochs - begin)
