"""Decisions on simulated sweeps, with random scores and random durations of jobs."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.jobs import DIVERGED, Finished, Rung, Sample, Train, Wait, stops
from sweeps.promotion import LEAST_COMPLETE, Promotion
from sweeps.pruning import LEAST_SAMPLED

EPOCHS = 30
Seen = list[tuple[int, int, float | None]]


@dataclass(frozen=True)
class Sweep:
    """Parameters of a simulated sweep."""

    rungs: tuple[Rung, ...]
    lags: tuple[int, ...] | None
    num_trials: int
    num_initial: int
    seed: int
    failing: float
    """Fraction of jobs that fail or diverge."""

    def promotion(self) -> Promotion:
        return Promotion(
            self.rungs,
            num_trials=self.num_trials,
            num_initial=self.num_initial,
            lags=self.lags,
            unguided=self.num_initial + 2,
        )

    def score(self, trial: int, rung: int) -> float | None:
        """Score of a trial at a rung, from few different values so that there are ties."""
        random = Random(f"{self.seed}:{trial}:{rung}")
        if random.random() < self.failing:
            return random.choice([None, DIVERGED])
        return (trial * 7919 % 13) + random.choice([0, 1, 2])

    def targets(self, trial: int) -> tuple[int, ...]:
        """Rungs of a trial; some trials have fewer epochs, and some are pretrained."""
        random = Random(f"{self.seed}:{trial}")
        epochs, pretrain_epochs = random.choice([EPOCHS, EPOCHS, 8]), random.choice([0, 0, 5])
        return stops(self.rungs, epochs, pretrain_epochs, sampled=self.num_sampled)

    @property
    def num_sampled(self) -> int:
        return self.num_trials - self.num_initial


@dataclass
class Ran:
    """State and history of a simulated sweep."""

    promotion: Promotion
    seen: dict[int, Seen] = field(default_factory=dict)
    """Results that the sampler had seen, by the trial that it then sampled."""
    shown: Seen = field(default_factory=list)
    """All results that the sampler has been shown."""
    order: list[Train] = field(default_factory=list)
    """Jobs in the order in which they were given out."""

    @property
    def outcome(self) -> tuple[object, ...]:
        """Values that must not depend on workers, durations and kills."""
        return self.promotion.scores, self.promotion.targets, self.seen


@st.composite
def sweeps(draw: st.DrawFn) -> Sweep:
    epochs = draw(st.sampled_from([(), (3,), (3, 10), (3, 8, 15)]))
    lag = st.integers(0, 9)
    length = len(epochs) + 1
    lags = draw(st.none() | st.lists(lag, min_size=length, max_size=length).map(tuple))
    return Sweep(
        rungs=tuple(Rung(epochs=e, reduction=draw(st.integers(2, 4))) for e in epochs),
        lags=lags,
        num_trials=draw(st.integers(0, 25)),
        num_initial=draw(st.integers(0, 2)),
        seed=draw(st.integers(0, 10**6)),
        failing=draw(st.sampled_from([0.0, 0.2])),
    )


def run(
    sweep: Sweep,
    workers: int,
    seed: int,
    *,
    cut_off: float = 0.0,
    jobs: int | None = None,
    ran: Ran | None = None,
) -> Ran:
    """Simulate a sweep, up to a number of jobs, with random durations; some jobs are cut off."""
    random = Random(seed)
    ran = ran or Ran(sweep.promotion())
    promotion, now = ran.promotion, 0.0
    running: list[tuple[float, int, int]] = []
    while jobs is None or jobs > 0:
        match promotion.decide() if len(running) < workers else Wait():
            case Train(trial, rung) as job:
                assert (trial, rung) not in promotion.scores
                ran.order.append(job)
                promotion.take(job)
                heapq.heappush(running, (now + random.lognormvariate(0, 1), trial, rung))
            case Sample(trial):
                ran.shown += promotion.newly_seen(trial)
                ran.seen[trial] = sorted(ran.shown, key=lambda result: result[:2])
                assert promotion.add(sweep.targets(trial)) == trial
            case Wait():
                now, trial, rung = heapq.heappop(running)  # raises if nothing is running
                if random.random() < cut_off:
                    promotion.give_back(trial)
                    continue
                promotion.end(trial, rung, sweep.score(trial, rung))
                jobs = None if jobs is None else jobs - 1
            case Finished():
                assert not running
                break
    return ran


@given(sweeps(), st.integers(0, 99))
def test_a_sweep_is_the_same_on_any_number_of_workers(sweep: Sweep, seed: int) -> None:
    alone = run(sweep, 1, seed)
    for workers in (2, 4, 8):
        assert run(sweep, workers, seed + workers).outcome == alone.outcome


@given(sweeps(), st.integers(0, 99))
def test_a_sweep_is_the_same_where_jobs_are_cut_off(sweep: Sweep, seed: int) -> None:
    assert run(sweep, 4, seed, cut_off=0.3).outcome == run(sweep, 1, seed).outcome


@given(sweeps(), st.integers(0, 80), st.integers(1, 8), st.integers(1, 8), st.integers(0, 99))
def test_a_sweep_is_the_same_if_it_is_killed_and_resumed(
    sweep: Sweep, jobs: int, workers: int, later: int, seed: int
) -> None:
    """Ended jobs are recorded again, in random order; all other jobs run again."""
    killed = run(sweep, workers, seed, jobs=jobs)
    resumed = Ran(sweep.promotion(), seen=killed.seen)
    for targets in killed.promotion.targets:
        resumed.promotion.add(targets)
    ended = sorted(killed.promotion.scores)
    for trial, rung in Random(seed).sample(ended, len(ended)):
        resumed.promotion.end(trial, rung, killed.promotion.scores[trial, rung])
    run(sweep, later, seed + 1, ran=resumed)
    assert resumed.outcome == run(sweep, 1, seed).outcome


@given(sweeps(), st.integers(1, 10), st.integers(1, 4))
def test_an_extended_sweep_has_the_trials_of_the_longer_one(
    sweep: Sweep, more: int, workers: int
) -> None:
    """It may also have trials that were completed because the shorter sweep had ended."""
    extended, longer = run(sweep, 1, 0), replace(sweep, num_trials=sweep.num_trials + more)
    extended.promotion.num_trials += more
    if sweep.num_sampled < LEAST_SAMPLED <= longer.num_sampled:
        return  # too few trials for comparisons in the shorter sweep, enough in the longer one
    run(longer, workers, 1, ran=extended)
    whole = run(longer, 2, 0)
    assert extended.seen == whole.seen
    assert extended.promotion.targets == whole.promotion.targets
    assert {(j.trial, j.rung) for j in reference(longer)} <= extended.promotion.scores.keys()


@given(sweeps())
def test_initial_trials_and_three_sampled_ones_are_complete(sweep: Sweep) -> None:
    promotion = run(sweep, 1, 0).promotion
    last = {trial: rung for trial, rung in sorted(promotion.scores)}
    assert list(last) == list(range(sweep.num_trials))
    ended = {t for t in last if promotion.scores[t, last[t]] not in (None, DIVERGED)}
    paused = [trial for trial in ended if last[trial] != promotion.last]
    complete = [trial for trial in ended if last[trial] == promotion.last]
    assert all(trial >= sweep.num_initial for trial in paused)
    assert not paused or sum(t >= sweep.num_initial for t in complete) >= LEAST_COMPLETE


def reference(sweep: Sweep) -> Iterator[Train]:
    """Jobs of one worker that promotes before it samples, computed by a scan of all trials."""
    reached: list[dict[int, float]] = [{} for _ in sweep.rungs]
    left: dict[int, tuple[int, ...]] = {}
    sampled = 0
    while True:
        trial = None
        for rung, scores in reversed(list(enumerate(reached))):
            order = sorted(scores, key=lambda trial: (-scores[trial], trial))
            better = order[: len(order) // sweep.rungs[rung].reduction]
            at = [t for t in order if left.get(t, ())[:1] == (rung,) and scores[t] != DIVERGED]
            chosen = [trial for trial in at if trial in better or trial < sweep.num_initial]
            if chosen:
                trial = chosen[0]
                break
        if trial is not None:
            targets = left.pop(trial)[1:]
        elif sampled < sweep.num_trials:
            trial, targets = sampled, sweep.targets(sampled)
            sampled += 1
        else:
            return
        yield Train(trial, targets[0])
        score = sweep.score(trial, targets[0])
        if score is not None and len(targets) > 1:
            reached[targets[0]][trial], left[trial] = score, targets


@given(sweeps())
def test_one_worker_does_what_the_rules_say(sweep: Sweep) -> None:
    """Afterwards, the best paused trials may be completed."""
    expected = list(reference(sweep))
    ran = run(sweep, 1, 0)
    assert ran.order[: len(expected)] == expected
    ended = [job for job in expected if job.rung == ran.promotion.last]
    complete = [sweep.score(j.trial, j.rung) for j in ended if j.trial >= sweep.num_initial]
    if sum(score not in (None, DIVERGED) for score in complete) >= LEAST_COMPLETE:
        assert ran.order == expected


# One rule at a time -----------------------------------------------------------------------------

RUNGS = (Rung(epochs=3), Rung(epochs=10))
WHOLE = (0, 1, 2)


def with_scores(scores: list[float | None], **numbers: int) -> Promotion:
    """Trials that have reached the first rung, in order of their numbers."""
    promotion = Promotion(RUNGS, **{"num_trials": 30, **numbers})
    for score in scores:
        promotion.end(promotion.add(WHOLE), 0, score)
    return promotion


@pytest.mark.parametrize(
    ("scores", "decision"),
    [
        ([], Sample(0)),
        ([5, 6], Sample(2)),
        ([5, 6, 4], Train(1, 1)),
        ([6, 6, 4], Train(0, 1)),  # ties go to the lower number
        ([5, None, 4], Sample(3)),  # failures do not count
        ([5, DIVERGED, 4], Train(0, 1)),  # divergence counts
        ([DIVERGED] * 9, Sample(9)),
        ([1, 3] + [None] * 28, Train(1, 1)),  # at the end the best paused trials are completed
        ([None] * 30, Finished()),
    ],
)
def test_the_better_part_is_promoted(scores: list[float | None], decision: object) -> None:
    assert with_scores(scores).decide() == decision


def test_the_better_part_counts_those_that_are_promoted() -> None:
    promotion = with_scores([5, 6, 4])
    promotion.end(1, 1, 6)
    for score in (5, 5):
        assert isinstance(promotion.decide(), Sample)
        promotion.end(promotion.add(WHOLE), 0, score)
    assert promotion.decide() == Sample(5)  # the top third is one trial, which has been promoted


def test_a_trial_that_belonged_to_the_better_part_stays_promoted() -> None:
    """Decisions follow trial numbers: trial 2 is promoted as if there were no trials 3 to 5."""
    promotion = Promotion(RUNGS, num_trials=30)
    for _ in range(6):
        promotion.take(Train(promotion.add(WHOLE), 0))
    for trial, score in reversed([*enumerate([1.0, 2, 3, 7, 8, 9])]):
        promotion.end(trial, 0, score)
    promoted = []
    while isinstance(job := promotion.decide(), Train):
        promotion.take(job)
        promoted.append(job.trial)
    assert promoted == [2, 3, 4, 5]  # the best of the first three, four, five and six


def test_the_highest_rung_comes_first() -> None:
    promotion = with_scores([9, 8, 7, 1, 1, 1, 1, 1, 1])
    for trial, score in ((0, 1), (1, 2), (2, 3)):
        assert promotion.decide() == Train(trial, 1)
        promotion.end(trial, 1, score)
    assert promotion.decide() == Train(2, 2)


def test_initial_trials_are_always_promoted() -> None:
    assert with_scores([1, 2], num_initial=1).decide() == Train(0, 1)
    assert with_scores([2, 2, 2], num_initial=1).decide() == Train(0, 1)


def test_rungs_without_a_comparison_are_passed() -> None:
    promotion = Promotion(RUNGS, num_trials=30)
    for targets in ((0, 2), (1, 2), (2,)):
        trial = promotion.add(targets)
        assert promotion.decide() == Train(trial, targets[0])  # although no trial has ended
        promotion.take(Train(trial, targets[0]))


def test_a_job_that_was_cut_off_comes_before_a_new_trial() -> None:
    promotion = with_scores([5, 6])
    promotion.take(Train(promotion.add(WHOLE), 0))
    assert promotion.decide() == Sample(3)
    promotion.give_back(2)
    assert promotion.decide() == Train(2, 0)


def test_the_sampler_sees_results_by_their_lag_only() -> None:
    promotion = Promotion(RUNGS, num_trials=30, lags=(2, 3, 4), unguided=3)
    for _ in range(3):
        promotion.take(Train(promotion.add(WHOLE), 0))  # all at the same time
    assert promotion.decide() == Wait()  # trial 3 needs the results of trials 0 and 1
    for trial, score in ((2, 4.0), (0, 5.0)):
        promotion.end(trial, 0, score)
        assert promotion.decide() == Wait()
    promotion.end(1, 0, 6.0)
    assert promotion.decide() == Train(1, 1)
    promotion.take(Train(1, 1))
    assert promotion.decide() == Sample(3)
    assert list(promotion.newly_seen(3)) == [(0, 0, 5.0), (1, 0, 6.0)]
    promotion.take(Train(promotion.add(WHOLE), 0))
    assert promotion.decide() == Sample(4)  # trial 1 was promoted at trial 2; seen from 5 on
    promotion.take(Train(promotion.add(WHOLE), 0))
    promotion.end(3, 0, 1.0)
    assert promotion.decide() == Wait()
    promotion.end(1, 1, 7.0)
    assert promotion.decide() == Sample(5)
    assert list(promotion.newly_seen(5))[-1] == (1, 1, 7.0)
