"""A sweep of a space ends when it no longer improves by more than the noise."""

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState

from sweeps.ledger import Ledger
from sweeps.outcomes import Ended
from sweeps.payoff import Patience, expected_gain, improves
from trainables.trainable import BY_FOLD

FOLDS = (0.01, -0.01, 0.0)
"""Differences between a trial's scores by fold and its mean."""


def trial(
    number: int,
    score: float | None = None,
    by_fold: tuple[float, ...] | None = None,
    origin: str | None = None,
) -> Ended:
    """A complete trial; a failed one if `score` is None."""
    folds = () if score is None else tuple(score + more for more in FOLDS)
    return Ended(
        number=number,
        state=TrialState.FAIL if score is None else TrialState.COMPLETE,
        values=None if score is None else (score,),
        origin=origin,
        failure=None if score is not None else "crashed",
        by_fold=folds if by_fold is None else by_fold,
        num_params=1,
        train_time_s=1.0,
    )


def ends_after(trials: list[Ended], most: int | None) -> int | None:
    """Number of trials after which the sweep ends; None if it does not end."""
    initial = sum(not one.is_sampled for one in trials)
    patience = Patience(most, 1, initial)
    for one in trials:
        if one.state == TrialState.COMPLETE:
            patience.take(one.number, one)
        if patience.is_over(one.number):
            return one.number + 1
    return None


@pytest.mark.parametrize(
    ("gains", "sign", "does"),
    [
        ((0.01, 0.02, 0.03), 1, True),
        ((0.01, 0.02, 0.03), -1, False),
        ((-0.01, -0.02, -0.03), -1, True),
        ((0.03, -0.03, 0.01), 1, False),  # better on average, but within the noise
        ((0.0, 0.0, 0.0), 1, False),
    ],
)
def test_an_improvement_is_larger_than_its_standard_error(
    gains: tuple[float, ...], sign: int, does: bool
) -> None:
    best = trial(0, 0.5)
    folds = tuple(a + gain for a, gain in zip(best.by_fold, gains, strict=True))
    assert improves(trial(1, sum(folds) / 3, folds), best, sign) is does


def test_without_scores_by_fold_anything_better_counts() -> None:
    assert improves(trial(1, 0.51, ()), trial(0, 0.5, ()), 1)
    assert not improves(trial(1, 0.5, ()), trial(0, 0.5, ()), 1)


def test_failed_trials_count_and_initial_points_do_not() -> None:
    points = [trial(n, 0.5, origin="baseline") for n in range(5)]
    assert ends_after([*points, trial(5), trial(6, 0.4), trial(7)], 3) == 8
    assert ends_after([*points, trial(5), trial(6, 0.6), trial(7), trial(8)], 3) is None


def test_no_patience_never_ends() -> None:
    assert ends_after([trial(n) for n in range(99)], None) is None


def test_what_is_better_within_the_noise_is_the_best_and_no_improvement() -> None:
    noisy = trial(1, 0.51, (0.48, 0.52, 0.53))
    assert ends_after([trial(0, 0.5, (0.5, 0.5, 0.5)), noisy, trial(2, 0.505)], 3) is None
    assert ends_after([trial(0, 0.5, (0.5, 0.5, 0.5)), noisy, trial(2, 0.505)], 2) == 3


def test_a_trial_that_is_promoted_late_counts_from_then_on() -> None:
    patience = Patience(3, 1, 0)
    patience.take(0, trial(0, 0.5))
    patience.take(7, trial(2, 0.6))
    assert not patience.is_over(9)
    assert patience.is_over(10)


def test_a_sweep_that_stopped_completes_running_trials_and_resumes_with_more_patience(
    make_ledger: Callable[..., Ledger], storage: InMemoryStorage
) -> None:
    def end(ledger: Ledger, number: int, score: float) -> None:
        folds = [score + more for more in FOLDS]
        ledger.complete(number, [score], {"num_params": 3, BY_FOLD: {"val_accuracy": folds}})

    first = make_ledger(trials=30, patience=3)
    for _ in range(3):
        asked = first.ask()
        assert asked is not None
        end(first, asked.number, 0.5)
    running = [first.ask(), first.ask(), first.ask()]
    for asked in running[:2]:
        assert asked is not None
        end(first, asked.number, 0.5)
    sampled = [t for t in first.ended() if t.is_sampled]
    assert len(sampled) >= 3
    assert first.has_stopped_paying
    assert (first.may_ask, first.trials_left) == (False, 1)

    again = make_ledger(trials=30, patience=3, resume=True)
    assert again.has_stopped_paying
    cut_off = again.ask()
    assert cut_off is not None
    end(again, cut_off.number, 0.9)
    assert again.ask() is None
    assert again.trials_left == 0

    assert make_ledger(trials=30, patience=20, resume=True).ask() is not None
    assert make_ledger(trials=30, resume=True).trials_left == 24


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=40), st.integers(0, 40), st.randoms())
def test_the_expected_gain_is_never_negative_and_knows_no_order(
    scores: list[float], paused: int, random: Random
) -> None:
    gain = expected_gain(scores, len(scores) + paused)
    assert gain >= -1e-9
    assert gain <= max(scores) - min(scores) + 1e-9
    shuffled = random.sample(scores, len(scores))
    assert expected_gain(shuffled, len(scores) + paused) == gain


def test_the_expected_gain_is_the_mean_over_all_draws() -> None:
    """Draw 10 of 20 trials without replacement, in 184,756 ways; the scores are ranks."""
    scores = list(map(float, range(20)))
    # the expected maximum of 10 out of ranks 1 to 20 is 10 * 21 / 11, see any book on order
    # statistics
    assert expected_gain(scores, 20) == pytest.approx(20 - 10 * 21 / 11)


def test_trials_that_are_not_complete_count_as_the_worst() -> None:
    assert expected_gain([1.0, 0.0], 4, more=4) == pytest.approx(
        expected_gain([1.0, 0.0, 0.0, 0.0], 4, more=4)
    )
