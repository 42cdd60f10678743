"""Replays of a recorded sweep under a policy: which epochs several workers train, and when."""

import heapq
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from policy_tools import by_number
from sweeps.jobs import Finished, Rung, Sample, Train, Wait, stops
from sweeps.promotion import Promotion
from sweeps.pruning import AbstractRule, Reports


@dataclass(frozen=True)
class Trial:
    """A recorded trial, as input of a replay."""

    means: Sequence[float]
    """Objective after each epoch, mean over folds; higher is better."""
    seconds: float
    """Training time of all epochs."""

    @property
    def final(self) -> float:
        """Score after the last epoch."""
        return self.means[-1]

    def share(self, start: int, end: int) -> float:
        """Return the cost of the epochs from `start` to `end`, in units of a whole trial."""
        return (end - start) / len(self.means)


@dataclass(frozen=True)
class Whole:
    """A trial that was trained to its last epoch."""

    trial: int
    cost: float
    """Cost of all training of the sweep up to this end, in whole trials."""
    seconds: float
    """Seconds since the start of the sweep."""


@dataclass
class Replay:
    """The result of replaying a policy."""

    workers: int
    whole: list[Whole] = field(default_factory=list)
    """Trials that were trained to their last epoch, in order of their ends."""
    cost: float = 0.0
    """Cost of all training, in whole trials."""
    seconds: float = 0.0
    """Seconds until the end of the sweep."""
    busy_s: float = 0.0
    """Seconds of training, summed over workers."""
    repeated: float = 0.0
    """Part of `cost` that repeats epochs whose checkpoints were deleted, in whole trials."""

    @property
    def idle(self) -> float:
        """Fraction of the workers' time without training."""
        return 1 - self.busy_s / (self.workers * self.seconds) if self.seconds else 0.0

    def add(self, trial: Trial, start: int, end: int) -> None:
        """Record the training of the epochs from `start` to `end`."""
        self.cost += trial.share(start, end)
        self.busy_s += trial.seconds * trial.share(start, end)


Policy = Callable[[Sequence[Trial], int], Replay]
"""Replays trials in the given order, with a number of workers."""


def stopping(rule: AbstractRule, rungs: Sequence[int]) -> Policy:
    """Make a policy that stops trials at rungs for good, by a rule of `sweeps.pruning`."""

    def replay(trials: Sequence[Trial], workers: int) -> Replay:
        done, reports, new = Replay(workers), Reports(higher=True), iter(range(len(trials)))
        running: list[tuple[float, int, int, int]] = []

        def train(number: int, start: int, now: float) -> None:
            trial = trials[number]
            end = next((rung for rung in rungs if rung > start), len(trial.means))
            seconds = trial.seconds * trial.share(start, end)
            heapq.heappush(running, (now + seconds, number, start, end))

        for number in (next(new) for _ in range(min(workers, len(trials)))):
            train(number, 0, 0.0)
        while running:
            done.seconds, number, start, end = heapq.heappop(running)
            trial = trials[number]
            done.add(trial, start, end)
            value = trial.means[end - 1]
            goes_on = end < len(trial.means) and math.isfinite(value)
            if goes_on:
                curve = {rung: trial.means[rung - 1] for rung in rungs if rung <= end}
                goes_on = not rule.stops(number, curve, reports)
                reports.add(end, value)
            elif end == len(trial.means):
                done.whole.append(Whole(number, done.cost, done.seconds))
            if goes_on:
                train(number, end, done.seconds)
            elif (number := next(new, -1)) >= 0:
                train(number, 0, done.seconds)
        return done

    return replay


def promotion(
    rungs: Sequence[int],
    reductions: Sequence[int],
    lags: Sequence[int] | None = None,
    unguided: int = 0,
    checkpoints: int | None = None,
) -> Policy:
    """Make a policy that pauses trials at rungs, see `sweeps.promotion`.

    Args:
        rungs: Epochs at which trials are compared.
        reductions: Reduction factor of each rung.
        lags: Lags of the sampler at each rung and the last epoch; None if it uses no results.
        unguided: Trials that are sampled before the sampler uses results.
        checkpoints: Checkpoints of paused trials that are kept; None for all. As in
            `sweeps.checkpoints`, those of the worst trials at the lowest rung are deleted first,
            and a trial without one is trained again from its first epoch.
    """
    compared = [Rung(epochs=e, reduction=r) for e, r in zip(rungs, reductions, strict=True)]

    def replay(trials: Sequence[Trial], workers: int) -> Replay:
        done = Replay(workers)
        deciding = Promotion(compared, num_trials=len(trials), lags=lags, unguided=unguided)
        running: list[tuple[float, int, int, int, int]] = []
        trained: dict[int, int] = {}
        saved: dict[int, int] = {}
        now = 0.0
        while True:
            match deciding.decide() if len(running) < workers else Wait():
                case Train(number, rung) as job:
                    deciding.take(job)
                    trial, start = trials[number], saved.pop(number, 0)
                    end = len(trial.means) if rung == deciding.last else rungs[rung]
                    done.repeated += trial.share(start, trained.get(number, start))
                    trained[number] = end
                    ends = now + trial.seconds * trial.share(start, end)
                    heapq.heappush(running, (ends, number, rung, start, end))
                case Sample(number):
                    epochs = len(trials[number].means)
                    deciding.add(stops(compared, epochs, sampled=len(trials)))
                case Wait():
                    if checkpoints is not None:
                        _keep(checkpoints, saved, trials)
                    now, number, rung, start, end = heapq.heappop(running)
                    done.seconds = now
                    done.add(trials[number], start, end)
                    deciding.end(number, rung, trials[number].means[end - 1])
                    if end == len(trials[number].means):
                        done.whole.append(Whole(number, done.cost, now))
                    else:
                        saved[number] = end
                case Finished():
                    return done

    return replay


def _keep(number: int, saved: dict[int, int], trials: Sequence[Trial]) -> None:
    """Delete checkpoints, given by trial with their epochs, until at most `number` are left."""
    worst_first = sorted(saved, key=lambda n: (saved[n], trials[n].means[saved[n] - 1], -n))
    for trial in worst_first[: max(0, len(saved) - number)]:
        del saved[trial]


def numbered(
    rungs: Sequence[int],
    reductions: Sequence[int],
    lags: Sequence[int],
    order: Literal["number", "arrival"] = "number",
) -> Policy:
    """Make a policy that pauses trials at rungs, see `policy_tools.by_number`.

    Args:
        rungs: Epochs at which trials are compared.
        reductions: Reduction factor of each rung.
        lags: Lag of each rung and of the last epoch.
        order: Whether decisions see results by job number or by arrival.
    """
    *at_rungs, last_lag = lags
    plan = by_number.Plan(
        rungs=tuple(
            by_number.Rung(epochs=epochs, reduction=reduction, lag=lag)
            for epochs, reduction, lag in zip(rungs, reductions, at_rungs, strict=True)
        ),
        last_lag=last_lag,
    )

    def replay(trials: Sequence[Trial], workers: int) -> Replay:
        done, deciding = (
            Replay(workers),
            by_number.Promotion(plan, num_trials=len(trials), order=order),
        )
        running: list[tuple[float, int, int, int]] = []
        trained: dict[int, int] = {}
        now = 0.0
        while True:
            match deciding.decide() if len(running) < workers else by_number.Wait(-1):
                case by_number.Promote(job):
                    pass
                case by_number.Sample(number):
                    job = by_number.Job(number, deciding.targets(len(trials[number].means)))
                case by_number.Empty():
                    deciding.give(None)
                    continue
                case by_number.Wait():
                    now, number, start, end = heapq.heappop(running)
                    ended = deciding.jobs[number]
                    assert ended is not None
                    trial = trials[ended.trial]
                    done.add(trial, start, end)
                    done.seconds = now
                    deciding.end(number, trial.means[end - 1])
                    if end == len(trial.means):
                        done.whole.append(Whole(ended.trial, done.cost, now))
                    continue
                case by_number.Finished():
                    return done
            trial, start = trials[job.trial], trained.get(job.trial, 0)
            end = len(trial.means) if job.is_last else rungs[job.rung]
            trained[job.trial] = end
            seconds = trial.seconds * trial.share(start, end)
            heapq.heappush(running, (now + seconds, deciding.give(job), start, end))

    return replay
