"""Decisions on simulated sweeps with random scores and random job durations."""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_tools.by_number import (
    Again,
    Empty,
    Finished,
    Job,
    Plan,
    Promote,
    Promotion,
    Rung,
    Sample,
    Wait,
)
from sweeps.promotion import DIVERGED, LEAST_COMPLETE

EPOCHS = 30
Score = Callable[[int, int], float | None]
"""Function of a trial and the rung that it has reached; None if its job fails."""


@dataclass(frozen=True)
class Sweep:
    """Settings of a simulated sweep."""

    plan: Plan
    num_trials: int
    num_initial: int
    seed: int
    failing: float
    """Fraction of jobs that fail or diverge, both with the same probability."""

    def promotion(self, **changed: int) -> Promotion:
        numbers = {"num_trials": self.num_trials, "num_initial": self.num_initial, **changed}
        return Promotion(self.plan, **numbers)

    def score(self, trial: int, rung: int) -> float | None:
        """Score of a job, one of few values, so that there are ties; None if the job fails."""
        random = Random(f"{self.seed}:{trial}:{rung}")
        if random.random() < self.failing:
            return random.choice([None, DIVERGED])
        return (trial * 7919 % 13) + random.choice([0, 1, 2])

    def targets(self, promotion: Promotion, trial: int) -> tuple[int, ...]:
        """Target rungs of a trial: some trials have fewer epochs, and some are pretrained."""
        random = Random(f"{self.seed}:{trial}")
        return promotion.targets(random.choice([EPOCHS, EPOCHS, 8]), random.choice([0, 0, 5]))


@st.composite
def sweeps(draw: st.DrawFn, lags: st.SearchStrategy[int] | None = None) -> Sweep:
    lags = st.integers(0, 9) if lags is None else lags
    epochs = draw(st.sampled_from([(), (3,), (3, 10), (3, 8, 15)]))
    rungs = (Rung(epochs=e, reduction=draw(st.integers(2, 4)), lag=draw(lags)) for e in epochs)
    return Sweep(
        plan=Plan(rungs=tuple(rungs), last_lag=draw(lags)),
        num_trials=draw(st.integers(0, 25)),
        num_initial=draw(st.integers(0, 2)),
        seed=draw(st.integers(0, 10**6)),
        failing=draw(st.sampled_from([0.0, 0.2])),
    )


def given_out(promotion: Promotion, sweep: Sweep) -> int | None:
    """Apply the next decision and return its job's number; None if there is no job.

    Callers handle `Finished`.
    """
    match promotion.decide():
        case Again(number):
            promotion.again(number)
            return number
        case Promote(job):
            return promotion.give(job)
        case Sample(trial):
            return promotion.give(Job(trial, sweep.targets(promotion, trial)))
        case Empty():
            promotion.give(None)
    return None


def run(
    sweep: Sweep,
    workers: int,
    seed: int,
    *,
    killed: float = 0.0,
    promotion: Promotion | None = None,
) -> Promotion:
    """Simulate a sweep: jobs take random times, and a fraction `killed` of them is cut off."""
    random = Random(seed)
    promotion = promotion or sweep.promotion()
    free, now = workers, 0.0
    running: list[tuple[float, int]] = []
    for _ in range(10_000):
        decision = promotion.decide()
        if isinstance(decision, Finished) and not running:
            return promotion
        if free and not isinstance(decision, Finished | Wait):
            number = given_out(promotion, sweep)
            if number is not None:
                free -= 1
                heapq.heappush(running, (now + random.lognormvariate(0, 1), number))
            continue
        now, number = heapq.heappop(
            running
        )  # raises IndexError if the sweep waits without a running job
        free += 1
        if random.random() < killed:
            promotion.cut_off(number)
        else:
            job = promotion.jobs[number]
            assert job is not None
            promotion.end(number, sweep.score(job.trial, job.rung))
    raise AssertionError("the sweep does not end")


@given(sweeps(), st.integers(0, 99))
def test_decisions_are_the_same_on_any_number_of_workers(sweep: Sweep, seed: int) -> None:
    alone = run(sweep, 1, seed).jobs
    for workers in (2, 4, 8):
        assert run(sweep, workers, seed + workers).jobs == alone


@given(sweeps(), st.integers(0, 99))
def test_decisions_are_the_same_where_jobs_are_cut_off(sweep: Sweep, seed: int) -> None:
    assert run(sweep, 4, seed, killed=0.3).jobs == run(sweep, 1, seed).jobs


@given(sweeps(), st.integers(0, 99), st.data())
def test_a_record_of_any_moment_continues_the_same_sweep(
    sweep: Sweep, seed: int, data: st.DataObject
) -> None:
    """After a kill, the record has the jobs that had ended; all other jobs run again."""
    whole = run(sweep, 1, seed).jobs
    length = data.draw(st.integers(0, len(whole)))
    resumed = sweep.promotion()
    for job in whole[:length]:
        resumed.give(job)
    numbers = [n for n, job in enumerate(whole[:length]) if job]
    lags = sweep.plan.lags
    for number in data.draw(st.permutations(numbers)):
        job = whole[number]
        assert job is not None
        if length - 1 - number >= lags[job.rung] or data.draw(st.booleans()):
            resumed.end(number, sweep.score(job.trial, job.rung))
        else:
            resumed.cut_off(number)
    assert run(sweep, data.draw(st.integers(1, 4)), seed, promotion=resumed).jobs == whole


@given(sweeps())
def test_no_trial_reaches_a_rung_twice(sweep: Sweep) -> None:
    jobs = [job for job in run(sweep, 1, 0).jobs if job]
    reached = [(job.trial, job.rung) for job in jobs]
    assert len(set(reached)) == len(reached)
    assert sorted({job.trial for job in jobs}) == list(range(sweep.num_trials))


@given(sweeps())
def test_initial_trials_and_three_sampled_ones_are_complete(sweep: Sweep) -> None:
    promotion = run(sweep, 1, 0)
    last: dict[int, Job] = {job.trial: job for job in promotion.jobs if job}
    scores = {trial: sweep.score(trial, job.rung) for trial, job in last.items()}
    paused = {
        t for t, job in last.items() if not job.is_last and scores[t] not in (None, DIVERGED)
    }
    complete = [t for t, job in last.items() if job.is_last and scores[t] not in (None, DIVERGED)]
    assert all(trial >= sweep.num_initial for trial in paused)
    assert not paused or sum(t >= sweep.num_initial for t in complete) >= LEAST_COMPLETE


@given(sweeps(), st.integers(1, 10))
def test_an_extended_sweep_goes_on(sweep: Sweep, more: int) -> None:
    ended = run(sweep, 1, 0)
    assert isinstance(ended.decide(), Finished)
    ended.num_trials += more
    assert {job.trial for job in run(sweep, 2, 0, promotion=ended).jobs if job} == set(
        range(sweep.num_trials + more)
    )


def reference(sweep: Sweep) -> Iterator[Job]:
    """Jobs by the same rules for one worker that sees all results, with a search of all trials."""
    promotion = sweep.promotion()
    reached: list[dict[int, float]] = [{} for _ in sweep.plan.rungs]
    left: dict[int, tuple[int, ...]] = {}
    complete = sampled = 0

    def choices(rung: int, *, better: bool) -> Iterator[int]:
        order = sorted(reached[rung], key=lambda trial: (-reached[rung][trial], trial))
        part = order[: len(order) // sweep.plan.rungs[rung].reduction]
        for trial in order:
            paused = left.get(trial, ())[:1] == (rung,) and reached[rung][trial] != DIVERGED
            if paused and (trial in part or trial < sweep.num_initial or not better):
                yield trial

    def chosen(*, better: bool) -> int | None:
        rungs = reversed(range(len(reached)))
        return next((t for rung in rungs for t in choices(rung, better=better)), None)

    while True:
        trial = chosen(better=True)
        if trial is None and sampled < sweep.num_trials:
            trial, sampled = sampled, sampled + 1
            targets = sweep.targets(promotion, trial)
        else:
            if trial is None and complete < LEAST_COMPLETE:
                trial = chosen(better=False)
            if trial is None:
                return
            targets = left.pop(trial)[1:]
        yield Job(trial, targets)
        score = sweep.score(trial, targets[0])
        if score is None:
            continue
        if len(targets) > 1:
            reached[targets[0]][trial], left[trial] = score, targets
        elif score != DIVERGED:
            complete += trial >= sweep.num_initial


@given(sweeps(st.just(0)))
def test_without_lags_one_worker_does_what_the_rules_say(sweep: Sweep) -> None:
    assert [job for job in run(sweep, 1, 0).jobs if job] == list(reference(sweep))


@given(sweeps(), st.integers(1, 4))
def test_by_arrival_a_sweep_ends_too(sweep: Sweep, workers: int) -> None:
    promotion = sweep.promotion()
    promotion.order = "arrival"
    jobs = run(sweep, workers, 0, promotion=promotion).jobs
    assert None not in jobs
    if workers == 1:
        assert jobs == list(reference(sweep))


# One rule at a time -----------------------------------------------------------------------------

PLAN = Plan(rungs=(Rung(epochs=3), Rung(epochs=10)))
WHOLE = (0, 1, 2)


def with_scores(scores: list[float | None], **numbers: int) -> Promotion:
    """Promotion after trials 0, 1, ... have reached the first rung with these scores."""
    promotion = Promotion(PLAN, **{"num_trials": 30, **numbers})
    for trial, score in enumerate(scores):
        promotion.end(promotion.give(Job(trial, WHOLE)), score)
    return promotion


@pytest.mark.parametrize(
    ("scores", "decision"),
    [
        ([], Sample(0)),
        ([5, 6], Sample(2)),
        ([5, 6, 4], Promote(Job(1, (1, 2)))),
        ([6, 6, 4], Promote(Job(0, (1, 2)))),  # ties go to the lower number
        ([5, None, 4], Sample(3)),  # failed trials do not count
        ([5, DIVERGED, 4], Promote(Job(0, (1, 2)))),  # diverged trials count
        ([DIVERGED] * 9, Sample(9)),
    ],
)
def test_the_better_part_is_promoted(scores: list[float | None], decision: object) -> None:
    assert with_scores(scores).decide() == decision


def test_the_better_part_counts_those_that_are_promoted() -> None:
    promotion = with_scores([5, 6, 4])
    promotion.give(Job(1, (1, 2)))
    assert promotion.decide() == Wait(3)
    promotion.end(3, 6)
    assert promotion.decide() == Sample(3)
    for trial in (3, 4):
        promotion.end(promotion.give(Job(trial, WHOLE)), 5)
    assert promotion.decide() == Sample(5)  # the top third is one trial, which is already promoted


def test_the_highest_rung_comes_first() -> None:
    promotion = with_scores([9, 8, 7, 1, 1, 1, 1, 1, 1])
    for trial in (0, 1, 2):
        assert promotion.decide() == Promote(Job(trial, (1, 2)))
        promotion.end(promotion.give(Job(trial, (1, 2))), trial)
    assert promotion.decide() == Promote(Job(2, (2,)))


def test_initial_trials_are_always_promoted() -> None:
    assert with_scores([1, 2], num_initial=1).decide() == Promote(Job(0, (1, 2)))


def test_in_the_end_the_best_paused_are_completed() -> None:
    promotion = with_scores([1, 3] + [None] * 28)
    assert promotion.decide() == Promote(Job(1, (1, 2)))


def test_few_sampled_trials_are_not_stopped_early() -> None:
    assert Promotion(PLAN, num_trials=10, num_initial=2).targets(EPOCHS) == (2,)
    assert Promotion(PLAN, num_trials=10, num_initial=1).targets(EPOCHS) == (0, 1, 2)


def test_rungs_without_a_comparison_are_passed() -> None:
    promotion = Promotion(PLAN, num_trials=30)
    assert promotion.targets(10) == (0, 2)
    assert promotion.targets(EPOCHS, pretrain_epochs=3) == (1, 2)
    assert promotion.targets(2) == (2,)


def test_a_job_that_was_cut_off_comes_first_and_keeps_its_number() -> None:
    promotion = with_scores([5, 6])
    assert promotion.give(Job(2, WHOLE)) == 2
    promotion.cut_off(2)
    assert promotion.decide() == Again(2)
    promotion.again(2)
    assert promotion.decide() == Wait(2)


def test_a_decision_sees_results_by_their_lag_only() -> None:
    plan = Plan(rungs=(Rung(epochs=3, lag=3),), last_lag=1)
    promotion = Promotion(plan, num_trials=30)
    for trial in range(3):
        promotion.end(promotion.give(Job(trial, (0, 1))), trial)
        assert promotion.decide() == Sample(
            trial + 1
        )  # the decision sees only one of three results
    for trial in (3, 4):
        assert promotion.give(Job(trial, (0, 1))) == trial
    assert promotion.decide() == Promote(Job(2, (1,)))  # while 3 and 4 run


def test_empty_decisions_take_numbers_until_all_is_seen() -> None:
    promotion = Promotion(Plan(last_lag=4), num_trials=1)
    promotion.give(Job(0, (0,)))
    for number in range(1, 4):
        assert promotion.decide() == Empty()
        assert promotion.give(None) == number
    assert promotion.decide() == Wait(0)
    promotion.end(0, 1.0)
    assert promotion.decide() == Empty()
    promotion.give(None)
    assert promotion.decide() == Finished()
