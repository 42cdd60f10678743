"""Jobs of a sweep that pauses trials at rungs, and the decisions that give them out.

A job trains one trial up to a rung or to its last epoch. Jobs are numbered in the order in which
decisions give them out; an empty decision takes a number too.
"""

from dataclasses import dataclass

from sweeps.pruning import REDUCTION


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """Epochs after which trials are compared."""

    epochs: int
    reduction: int = REDUCTION
    """Of the scores at the rung, the better floor(n / reduction) are promoted."""
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
class Sample:
    """A new configuration is tried; its first job goes to the first of its targets."""

    trial: int


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
