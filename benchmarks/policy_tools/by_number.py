"""Pausing by job number: another rule than that of `sweeps.promotion`, to compare with.

Jobs are numbered in the order in which decisions give them out, and decision j sees the result of
job i if and only if j - i is at least the lag of the rung that job i was given to reach. So the
same sweep results on any number of workers, which wait for what must be seen.
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
    """A rung whose results are seen late."""

    lag: int = 1
    """Jobs until a result is seen, see `Plan`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Rungs in rising order, and what decisions see.

    Decision j sees the result of job i if and only if j - i is at least the lag of the rung that
    job i was given to reach; it is not made before that job has ended.
    """

    rungs: tuple[Rung, ...] = ()
    last_lag: int = 1
    """Lag of jobs that train to the last epoch."""

    @property
    def last(self) -> int:
        """What stands for the last epoch where jobs name a rung."""
        return len(self.rungs)

    @property
    def lags(self) -> tuple[int, ...]:
        """Lag by rung, that of the last epoch included; no decision sees its own job."""
        return tuple(max(1, lag) for lag in (*(rung.lag for rung in self.rungs), self.last_lag))


@dataclass(frozen=True, slots=True)
class Job:
    """One trial, trained to the first of its targets that is left."""

    trial: int
    targets: tuple[int, ...]
    """Rungs, the last epoch at the end, see `Promotion.targets`."""

    @property
    def rung(self) -> int:
        """The rung that it is to reach."""
        return self.targets[0]

    @property
    def is_last(self) -> bool:
        """Whether the trial is complete after it."""
        return len(self.targets) == 1


@dataclass(frozen=True, slots=True)
class Again:
    """A job that was cut off is done again, by its number."""

    number: int


@dataclass(frozen=True, slots=True)
class Promote:
    """A paused trial goes on: its next job."""

    job: Job


@dataclass(frozen=True, slots=True)
class Empty:
    """Nothing is to be done at present; the decision takes a number all the same."""


@dataclass(frozen=True, slots=True)
class Wait:
    """The decision cannot be made before a job has ended, by its number."""

    number: int


@dataclass(frozen=True, slots=True)
class Finished:
    """The sweep is over."""


Decision = Again | Promote | Sample | Empty | Wait | Finished


Place = tuple[float, int]
"""What sorts trials at a rung: the better score first, then the lower number."""


@dataclass(slots=True)
class _Standings:
    """What is visible at a rung, best first."""

    all: list[Place] = field(default_factory=list)
    sampled: list[Place] = field(default_factory=list)
    """Trials that are paused: neither promoted nor diverged."""
    initial: list[Place] = field(default_factory=list)
    """The same of initial points."""


class Promotion:
    """Decides what is trained next, from the jobs so far and how they have ended.

    It is fed with facts: `give` for each decision in turn, `end` for each job that has ended.
    After a kill the same facts, from a record, give the same decisions.

    Args:
        plan: The rungs; without any, every trial is trained to its end at once.
        num_trials: Configurations to try, the initial ones included.
        num_initial: Initial points, which are the first trials and always promoted.
        least_complete: Least number of sampled trials that are trained to their end.
        order: `arrival` for decisions that see what has ended, so that they depend on the machine.
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
        """All jobs by number; None where a decision was empty."""
        self._num_started = 0
        self._num_complete = 0
        """Sampled trials that are seen to be complete."""
        self._num_empty = 0
        """Empty decisions in a row, the last one included."""
        self._scores: dict[int, float | None] = {}
        """Of jobs that have ended and are not seen yet."""
        self._cut_off: list[int] = []
        self._unseen: tuple[deque[int], ...] = tuple(deque() for _ in plan.lags)
        self._standings = tuple(_Standings() for _ in plan.rungs)
        self._latest: dict[int, int] = {}
        """Number of each trial's latest job."""
        self._paused: dict[int, tuple[int, Place, Job]] = {}
        """By trial: its rung, its place there, and the job that reached it."""

    def targets(self, epochs: int, pretrain_epochs: int = 0) -> tuple[int, ...]:
        """Targets of the jobs of a new trial, see `sweeps.jobs.stops`."""
        sampled = self.num_trials - self.num_initial
        return stops(self.plan.rungs, epochs, pretrain_epochs, sampled=sampled)

    def give(self, job: Job | None) -> int:
        """Note what was given out, None for nothing, and return its number."""
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
        """Note that a job has ended.

        Args:
            number: Its number.
            score: The objective, higher is better; `DIVERGED`, or None for a job that failed for
                good.
        """
        assert score is None or not math.isnan(score)
        self._scores[number] = score

    def cut_off(self, number: int) -> None:
        """Note that a job has to be done again."""
        insort(self._cut_off, number)

    def again(self, number: int) -> None:
        """Note that a job that was cut off is given out again, under its number."""
        self._cut_off.remove(number)

    def decide(self) -> Decision:
        """The next decision, which is the same until another fact is noted."""
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
        # of so many in a row, the last one has seen all results
        return Finished() if self._num_empty >= max(self.plan.lags) else Empty()

    @property
    def _num_under_way(self) -> int:
        """Sampled trials with a job whose result is not seen."""
        return sum(self._is_sampled(number) for unseen in self._unseen for number in unseen)

    def _is_sampled(self, number: int) -> bool:
        job = self.jobs[number]
        return job is not None and job.trial >= self.num_initial

    def _see(self) -> int | None:
        """Take in what the next decision sees; the first job that it has to wait for."""
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
        """The next job of the best paused trial of the highest rung that has one.

        Args:
            better: Whether sampled trials count only in the better part of their rung.
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
