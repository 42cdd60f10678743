"""Pausing by job number: an alternative to the rule of `sweeps.promotion`, for comparison.

Jobs are numbered in the order in which they are assigned. Decision j sees the result of job i if
and only if j - i is at least the lag of job i's target rung. So the sweep is the same for any
number of workers; a decision waits for all results that it must see.
"""

import math
from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass, field, replace
from typing import Literal

from sweeps import jobs
from sweeps.jobs import DIVERGED, Sample, stops
from sweeps.promotion import LEAST_COMPLETE


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung(jobs.Rung):
    """A rung with a lag of its results."""

    lag: int = 1
    """Number of jobs after which a result is seen, see `Plan`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Rungs in rising order, and the lags of their results.

    Decision j sees the result of job i if and only if j - i is at least the lag of job i's target
    rung. The decision waits until all such jobs have ended.
    """

    rungs: tuple[Rung, ...] = ()
    last_lag: int = 1
    """Lag of jobs that train to the last epoch."""

    @property
    def last(self) -> int:
        """Index that stands for the last epoch among the rungs of jobs."""
        return len(self.rungs)

    @property
    def lags(self) -> tuple[int, ...]:
        """Lags by rung, the last epoch included; at least 1, as no decision sees its own job."""
        return tuple(max(1, lag) for lag in (*(rung.lag for rung in self.rungs), self.last_lag))


@dataclass(frozen=True, slots=True)
class Job:
    """A job: trains one trial to the first of its remaining targets."""

    trial: int
    targets: tuple[int, ...]
    """Indices of the remaining rungs, then the last epoch, see `Promotion.targets`."""

    @property
    def rung(self) -> int:
        """Index of the target rung."""
        return self.targets[0]

    @property
    def is_last(self) -> bool:
        """Whether the trial is complete after this job."""
        return len(self.targets) == 1


@dataclass(frozen=True, slots=True)
class Again:
    """Decision to repeat an interrupted job, by its number."""

    number: int


@dataclass(frozen=True, slots=True)
class Promote:
    """Decision to continue a paused trial, by its next job."""

    job: Job


@dataclass(frozen=True, slots=True)
class Empty:
    """Decision to assign no job; it has a number like any other."""


@dataclass(frozen=True, slots=True)
class Wait:
    """The decision must wait for the end of a job, by its number."""

    number: int


@dataclass(frozen=True, slots=True)
class Finished:
    """The sweep is over."""


Decision = Again | Promote | Sample | Empty | Wait | Finished


Place = tuple[float, int]
"""Sort key of trials at a rung: the negative score, then the number."""


@dataclass(slots=True)
class _Standings:
    """Visible results at a rung, best first."""

    all: list[Place] = field(default_factory=list)
    sampled: list[Place] = field(default_factory=list)
    """Paused sampled trials: neither promoted nor diverged."""
    initial: list[Place] = field(default_factory=list)
    """Paused initial points."""


class Promotion:
    """Decides which job is next, from the jobs so far and their results.

    Call `give` for each decision in turn, and `end` for each job that has ended. After a kill, the
    same calls from a record give the same decisions.

    Args:
        plan: The rungs; without rungs, every trial is trained to its last epoch at once.
        num_trials: Number of configurations to try, the initial points included.
        num_initial: Number of initial points, which are the first trials and always promoted.
        least_complete: Minimum number of sampled trials that are trained to their last epoch.
        order: `arrival` for decisions that see all jobs that have ended; then they depend on the
            speed of the machine.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        num_trials: int,
        num_initial: int = 0,
        least_complete: int = LEAST_COMPLETE,
        order: Literal["number", "arrival"] = "number",
    ):
        self.plan = plan
        self.num_trials = num_trials
        self.num_initial = num_initial
        self.least_complete = least_complete
        self.order = order
        self.jobs: list[Job | None] = []
        """All jobs by number; None for an empty decision."""
        self._num_started = 0
        self._num_complete = 0
        """Sampled trials whose completion is visible."""
        self._num_empty = 0
        """Consecutive empty decisions up to the last decision."""
        self._scores: dict[int, float | None] = {}
        """Scores of jobs that have ended and are not visible yet, by job number."""
        self._cut_off: list[int] = []
        self._unseen: tuple[deque[int], ...] = tuple(deque() for _ in plan.lags)
        self._standings = tuple(_Standings() for _ in plan.rungs)
        self._latest: dict[int, int] = {}
        """Number of each trial's latest job, by trial."""
        self._paused: dict[int, tuple[int, Place, Job]] = {}
        """Paused trials: the rung, the sort key there, and the job that reached the rung."""

    def targets(self, epochs: int, pretrain_epochs: int = 0) -> tuple[int, ...]:
        """Return the targets of the jobs of a new trial, see `sweeps.jobs.stops`."""
        sampled = self.num_trials - self.num_initial
        return stops(self.plan.rungs, epochs, pretrain_epochs, sampled=sampled)

    def give(self, job: Job | None) -> int:
        """Record an assigned job, or None for an empty decision, and return its number."""
        number = len(self.jobs)
        self.jobs.append(job)
        self._num_empty = 0 if job else self._num_empty + 1
        if job is not None:
            self._unseen[job.rung].append(number)
            self._num_started = max(self._num_started, job.trial + 1)
            self._latest[job.trial] = number
            if job.trial in self._paused:
                rung, place, _ = self._paused.pop(job.trial)
                at = self._standings[rung]
                (at.initial if job.trial < self.num_initial else at.sampled).remove(place)
        return number

    def end(self, number: int, score: float | None) -> None:
        """Record the end of a job.

        Args:
            number: Number of the job.
            score: Objective, higher is better; `DIVERGED`, or None for a job that failed for good.
        """
        assert score is None or not math.isnan(score)
        self._scores[number] = score

    def cut_off(self, number: int) -> None:
        """Record that a job was interrupted and must be repeated."""
        insort(self._cut_off, number)

    def again(self, number: int) -> None:
        """Record that an interrupted job is assigned again, with the same number."""
        self._cut_off.remove(number)

    def decide(self) -> Decision:
        """Return the next decision; it is the same until another event is recorded."""
        if self._cut_off:
            return Again(self._cut_off[0])
        waits = self._see()
        if waits is not None:
            return Wait(waits)
        job = self._best_paused(better=True)
        if job is not None:
            return Promote(job)
        if self._num_started < self.num_trials:
            return Sample(self._num_started)
        if self._num_complete + self._num_under_way < self.least_complete:
            job = self._best_paused(better=False)
            if job is not None:
                return Promote(job)
        if self.order == "arrival":
            running = [unseen[0] for unseen in self._unseen if unseen]
            return Wait(min(running)) if running else Finished()
        # after as many empty decisions as the longest lag, all results are visible
        return Finished() if self._num_empty >= max(self.plan.lags) else Empty()

    @property
    def _num_under_way(self) -> int:
        """Number of sampled trials with a job whose result is not visible yet."""
        return sum(self._is_sampled(number) for unseen in self._unseen for number in unseen)

    def _is_sampled(self, number: int) -> bool:
        job = self.jobs[number]
        return job is not None and job.trial >= self.num_initial

    def _see(self) -> int | None:
        """Process the results that the next decision sees; returns the first job to wait for."""
        waits = []
        for unseen, lag in zip(self._unseen, self.plan.lags, strict=True):
            if self.order == "arrival":
                for number in [number for number in unseen if number in self._scores]:
                    unseen.remove(number)
                    self._take_in(number)
                continue
            while unseen and len(self.jobs) - unseen[0] >= lag:
                if unseen[0] not in self._scores:
                    waits.append(unseen[0])
                    break
                self._take_in(unseen.popleft())
        return min(waits, default=None)

    def _take_in(self, number: int) -> None:
        job, score = self.jobs[number], self._scores.pop(number)
        assert job is not None
        if score is None:
            return
        if job.is_last:
            self._num_complete += self._is_sampled(number) and score != DIVERGED
            return
        standings, place = self._standings[job.rung], (-score, job.trial)
        insort(standings.all, place)
        if score != DIVERGED and self._latest[job.trial] == number:
            insort(standings.sampled if self._is_sampled(number) else standings.initial, place)
            self._paused[job.trial] = (job.rung, place, job)

    def _best_paused(self, *, better: bool) -> Job | None:
        """Return the next job of the best paused trial at the highest rung that has one.

        Args:
            better: Whether only sampled trials in the top 1/reduction of their rung are
                considered.
        """
        for rung, at in zip(reversed(self.plan.rungs), reversed(self._standings), strict=True):
            last = len(at.all) // rung.reduction
            sampled = at.sampled[:1]
            if better and sampled and bisect_left(at.all, sampled[0]) >= last:
                sampled = []
            for _, trial in sorted([*sampled, *at.initial[:1]])[:1]:
                job = self._paused[trial][2]
                return replace(job, targets=job.targets[1:])
        return None
