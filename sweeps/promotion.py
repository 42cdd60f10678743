"""Early stopping that pauses trials at rungs and may promote them later.

Which trials are trained to which rung depends only on the scores, by trial number and rung: each
rung has the same trials as with a single worker that promotes trials before it samples new ones.
The number of workers, the length of jobs and interruptions change only the times at which trials
are trained.
"""

import math
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from sweeps.jobs import DIVERGED, Decision, Finished, Rung, Sample, Train, Wait

LEAST_COMPLETE = 3
"""Minimum number of sampled trials that a sweep trains to their end, if there are as many."""


Place = tuple[float, int]
"""Sort key of trials at a rung: the negative score, then the number."""


@dataclass(slots=True)
class _Stream:
    """Trials that are to reach a rung, in the order in which they are compared.

    The order is that of a single worker. The key of a trial is the number of the latest trial that
    this worker would have sampled by then.
    """

    listed: list[tuple[int, int]] = field(default_factory=list)
    """Key and number of each trial."""
    num_compared: int = 0
    """Length of the head of the list in which all scores are known."""
    num_seen: int = 0
    """Length of the head of the list that `newly_seen` has yielded."""
    todo: deque[int] = field(default_factory=deque)
    """Trials that no worker trains yet."""
    places: list[Place] = field(default_factory=list)
    paused: list[Place] = field(default_factory=list)
    """Sampled trials that are neither promoted nor diverged, best first."""


class Promotion:
    """Decides what is trained next, and which results the sampler sees.

    Call `add` for each trial in turn, `take` when a job starts, and `end` when it has ended. After
    a kill, repeat `add` and `end` from the record to restore the sweep. If `num_trials` is raised,
    the further trials are the same as in a longer sweep from the start.

    Args:
        rungs: Rungs in rising order; without any, every trial is trained to its end at once.
        num_trials: Configurations to try, the initial ones included.
        num_initial: Initial points, which are the first trials and always promoted.
        lags: Lags by rung, the last epoch included. Trial n is sampled when all results with keys
            up to n - lag are known, and from these alone. None if the sampler uses no results.
        unguided: Number of first trials, which are sampled without results.
    """

    def __init__(
        self,
        rungs: Sequence[Rung] = (),
        *,
        num_trials: int,
        num_initial: int = 0,
        lags: Sequence[int] | None = None,
        unguided: int = 0,
    ):
        self.rungs = tuple(rungs)
        self.num_trials = num_trials
        self.num_initial = num_initial
        self.lags = lags
        self.unguided = unguided
        self.targets: list[tuple[int, ...]] = []
        """By trial: the rungs that it stops at, and the last epoch."""
        self.scores: dict[tuple[int, int], float | None] = {}
        """By trial and rung; None for a trial that failed on its way there."""
        self._running: dict[int, int] = {}
        self._streams = [_Stream() for _ in range(len(self.rungs) + 1)]

    @property
    def last(self) -> int:
        """Index of the last epoch, which counts as one more rung."""
        return len(self.rungs)

    @property
    def num_to_train(self) -> int:
        """Number of trials in training or to be trained; paused ones are not among them."""
        return len(self._running) + sum(len(stream.todo) for stream in self._streams)

    def is_given_out(self, trial: int) -> bool:
        """Whether a trial is in training or to be trained; if not, it is paused or has ended."""
        return trial in self._running or any(trial in stream.todo for stream in self._streams)

    def heading(self, trial: int) -> int:
        """The rung that a trial in training is to reach."""
        return self._running[trial]

    def is_promoted(self, trial: int, rung: int) -> bool:
        """Whether a trial is to be trained up to a rung, and no worker trains it yet."""
        return trial in self._streams[rung].todo

    def add(self, targets: tuple[int, ...]) -> int:
        """Note a new trial with the targets of `sweeps.jobs.stops`, and return its number."""
        trial = len(self.targets)
        self.targets.append(targets)
        self._streams[0].listed.append((trial, trial))
        self._streams[targets[0]].todo.append(trial)
        self._compare()
        return trial

    def take(self, job: Train) -> None:
        """Note that a job has started."""
        todo = self._streams[job.rung].todo
        if job.trial in todo:
            todo.remove(job.trial)
        self._running[job.trial] = job.rung

    def give_back(self, trial: int) -> None:
        """Note that a trial's job was interrupted, and schedule it again."""
        rung = self._running.pop(trial)
        is_promoted = any(number == trial for _, number in self._streams[rung].listed)
        if is_promoted or rung == self.targets[trial][0]:
            self._streams[rung].todo.appendleft(trial)

    def end(self, trial: int, rung: int, score: float | None) -> None:
        """Note how a job has ended.

        Args:
            trial: Number of the trial.
            rung: The rung that it was to reach.
            score: The objective, higher is better; `DIVERGED`, or None for a trial that failed for
                good.
        """
        assert score is None or not math.isnan(score)
        self.scores[trial, rung] = score
        self._running.pop(trial, None)
        if trial in self._streams[rung].todo:
            self._streams[rung].todo.remove(trial)
        self._compare()

    def decide(self) -> Decision:
        """Decision for a free worker; it stays the same until `add`, `take` or `end` is called."""
        for rung in reversed(range(len(self._streams))):
            if self._streams[rung].todo:
                return Train(self._streams[rung].todo[0], rung)
        new = len(self.targets)
        if new < self.num_trials:
            return Sample(new) if self.can_sample else Wait()
        if self._running:
            return Wait()
        return Finished() if self._num_complete >= LEAST_COMPLETE else self._best_paused()

    def newly_seen(self, new: int) -> Iterator[tuple[int, int, float | None]]:
        """Results that the sampler sees for trial `new`, but did not see for the trial before.

        Yields:
            Trial, rung and score of a result.
        """
        for rung, stream in enumerate(self._streams):
            while stream.num_seen < len(stream.listed):
                key, trial = stream.listed[stream.num_seen]
                if key > self._last_key(new, rung):
                    break
                stream.num_seen += 1
                if rung in self.targets[trial]:
                    yield trial, rung, self.scores[trial, rung]

    def _last_key(self, new: int, rung: int) -> int:
        """Key up to which results at a rung are seen."""
        if self.lags is None or new < self.unguided:
            return -1
        return new - max(1, self.lags[rung])

    @property
    def can_sample(self) -> bool:
        """Whether there may be a new trial, and all results that its sampler sees are known."""
        new = len(self.targets)
        seen = zip(range(len(self._streams)), self._known(), strict=True)
        return new < self.num_trials and all(
            known >= self._last_key(new, rung) for rung, known in seen
        )

    def results(self, start: int) -> Iterator[tuple[int, int]]:
        """Trials that have reached the end of training, in the order of comparison.

        The list is the same at any concurrency once the next trial can be sampled.

        Args:
            start: Number of trials of the list to skip.

        Yields:
            Key and number of a trial.
        """
        horizon = self.horizon
        for key, trial in islice(self._streams[self.last].listed, start, None):
            if key > horizon:
                break
            yield key, trial

    @property
    def horizon(self) -> int:
        """Highest key of results that the next trial may depend on."""
        new, known = len(self.targets), min(self._known())
        return known if self.lags is None else min(known, self._last_key(new, self.last))

    def _known(self) -> list[int]:
        """Highest key by rung up to which all results are known, there and at lower rungs."""
        known, by_rung = len(self.targets) - 1, []
        for stream in self._streams:
            if stream.num_compared < len(stream.listed):
                known = min(known, stream.listed[stream.num_compared][0] - 1)
            by_rung.append(known)
        return by_rung

    def _list(self, rung: int, key: int, trial: int) -> None:
        """List a trial at a rung, and schedule its training up to there unless done or running."""
        stream = self._streams[rung]
        stream.listed.append((key, trial))
        known = (trial, rung) in self.scores or self._running.get(trial) == rung
        if rung in self.targets[trial][1:] and not known:
            stream.todo.append(trial)

    def _compare(self) -> None:
        """Compare trials whose scores are known, rung by rung, and list the promoted ones."""
        for rung, stream in enumerate(self._streams):
            while stream.num_compared < len(stream.listed):
                key, trial = stream.listed[stream.num_compared]
                passed = rung not in self.targets[trial]
                if not passed and (trial, rung) not in self.scores:
                    break
                stream.num_compared += 1
                if rung == self.last:
                    continue
                if passed:
                    self._list(rung + 1, key, trial)
                    continue
                for promoted in self._promoted(rung, trial, self.scores[trial, rung]):
                    self._list(rung + 1, key, promoted)

    def _promoted(self, rung: int, trial: int, score: float | None) -> Iterator[int]:
        """Trials that one more score at a rung promotes, best first."""
        if score is None:
            return
        stream, place = self._streams[rung], (-score, trial)
        insort(stream.places, place)
        better: list[Place] = []
        if trial < self.num_initial and score != DIVERGED:
            better.append(place)
        elif score != DIVERGED:
            insort(stream.paused, place)
        part = len(stream.places) // self.rungs[rung].reduction
        while stream.paused and bisect_left(stream.places, stream.paused[0]) < part:
            better.append(stream.paused.pop(0))
        yield from (trial for _, trial in sorted(better))

    @property
    def _num_complete(self) -> int:
        """Sampled trials that were trained to their end."""
        return sum(
            rung == self.last and trial >= self.num_initial and score not in (None, DIVERGED)
            for (trial, rung), score in self.scores.items()
        )

    def _best_paused(self) -> Train | Finished:
        """Job of the best trial among those paused at the highest rung; `Finished` if none."""
        at = {trial: (rung, self.scores[trial, rung]) for trial, rung in sorted(self.scores)}
        paused = [
            (-rung, -score, trial)
            for trial, (rung, score) in at.items()
            if rung != self.last and score is not None and score != DIVERGED
        ]
        if not paused:
            return Finished()
        rung, _, trial = min(paused)
        targets = self.targets[trial]
        return Train(trial, targets[targets.index(-rung) + 1])
