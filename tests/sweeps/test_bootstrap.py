"""Bootstrap bias-corrected cross-validation, on numbers whose true value is known."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import r2_score

from sweeps.bootstrap import (
    Expected,
    _draws,
    expected_of_rows,
    expected_over_all,
    plan_of,
)
from trainables.stack.held_out import NO_FOLD
from trainables.tasks.scores import Measure


def folds(rows: int, number: int = 5) -> np.ndarray:
    """Folds of one repeat, by row."""
    return (np.arange(rows) % number)[None]


def answers(seed: int, truth: np.ndarray | list[float], rows: int, repeats: int = 1) -> np.ndarray:
    """1 where a trial's answer is right; some rows are harder than others for all trials."""
    rng = np.random.default_rng(seed)
    harder = rng.normal(0, 0.1, rows)
    right = rng.random((len(truth), repeats, rows)) < np.asarray(truth)[:, None, None] + harder
    return right.astype(np.float32)


def expected(values: np.ndarray, fold: np.ndarray | None = None, **options: Any) -> Expected:
    rows = values.shape[2]
    fold = folds(rows) if fold is None else fold
    unit = options.pop("unit", np.arange(rows))
    found = expected_of_rows(values, fold, unit, **{"sign": 1, "seed": 3, **options})
    assert found is not None
    return found


# Metrics of rows --------------------------------------------------------------------------------


def test_it_is_the_mean_of_what_is_chosen_on_drawn_rows_and_measured_on_the_others() -> None:
    values = answers(0, [0.7, 0.72, 0.74], rows=60)
    by_row = values[:, 0].astype(float)
    best = by_row.mean(1).argmax()
    chosen, same = [], []
    for counts in np.concatenate(list(_draws(60, 1000, 3))):
        place = np.round(by_row @ counts, 9).argmax()
        chosen.append(by_row[place, counts == 0].mean())
        same.append(by_row[best, counts == 0].mean())
    found = expected(values)
    shift = by_row[best].mean() - np.mean(same)
    assert abs(shift) < 0.01  # random error only: row-wise metrics need no shift
    assert found.value == pytest.approx(np.mean(chosen) + shift)
    low, high = np.quantile(chosen, [0.025, 0.975]) + shift
    closer = math.sqrt(1 / (math.e - 1))  # a share of 1 / e of the rows is left out
    assert found.value - found.low >= closer * (found.value - low) - 1e-9
    assert found.high - found.value >= closer * (high - found.value) - 1e-9
    assert found.trials == 3


def test_the_same_seed_gives_the_same_and_another_seed_nearly() -> None:
    values = answers(0, [0.8] * 10, rows=300)
    first, again, other = expected(values), expected(values), expected(values, seed=4)
    assert first == again != other
    assert other.value == pytest.approx(first.value, abs=0.01)


def test_it_takes_the_luck_of_the_best_away() -> None:
    """With 20 trials that are equally good, the best one seems better than it is."""
    errors, maxima, inside = [], [], 0
    for seed in range(60):
        values = answers(seed, [0.8] * 20, rows=200)
        found = expected(values, samples=200, seed=seed)
        errors.append(found.value - 0.8)
        maxima.append(values.mean((1, 2)).max() - 0.8)
        inside += found.low <= 0.8 <= found.high
    assert abs(np.mean(errors)) < 0.01 < 0.03 < np.mean(maxima)
    assert inside >= 55


def test_lower_may_be_better() -> None:
    values = answers(0, [0.7, 0.75, 0.8], rows=200)
    right, wrong = expected(values), expected(1 - values, sign=-1)
    assert wrong.value == pytest.approx(1 - right.value)
    assert (wrong.low, wrong.high) == pytest.approx((1 - right.high, 1 - right.low))


def test_groups_are_drawn_whole() -> None:
    """Repeated rows of a group add no information: the result is as with one row per group."""
    values = answers(0, [0.7, 0.72, 0.74], rows=50)
    again = np.repeat(values, 4, axis=2)
    fold, group = np.repeat(folds(50), 4, axis=1), np.repeat(np.arange(50), 4)
    whole, one = expected(again, fold, unit=group), expected(values)
    assert (whole.value, whole.low, whole.high) == pytest.approx((one.value, one.low, one.high))
    assert expected(again, fold) != whole


def test_one_group_alone_says_nothing() -> None:
    values, unit = answers(0, [0.7, 0.8], rows=20), np.zeros(20, int)
    assert expected_of_rows(values, folds(20), unit, sign=1, seed=0) is None


def test_folds_of_different_sizes_count_the_same() -> None:
    """The score treats them in the same way: it is the mean over folds."""
    fold = np.array([[0] * 10 + [1] * 90])
    values = np.zeros((2, 1, 100), np.float32)
    values[:, :, :10] = 1
    found = expected(values, fold)
    assert found.value == pytest.approx(0.5)


def test_an_interval_stays_where_a_mean_can_be() -> None:
    found = expected(answers(0, [0.97, 0.99, 1.0], rows=60))
    assert 0 < found.low < found.value <= found.high <= 1


def test_rows_that_are_never_held_out_do_not_count() -> None:
    values = answers(0, [0.7, 0.72, 0.74], rows=60)
    padded = np.concatenate([np.full((3, 1, 15), np.nan, np.float32), values], axis=2)
    fold = np.concatenate([np.full((1, 15), NO_FOLD), folds(60)], axis=1)
    assert expected(padded, fold) == expected(values)


def test_repeats_are_averaged_row_by_row() -> None:
    values = answers(0, [0.7, 0.72, 0.74], rows=60, repeats=2)
    fold = np.concatenate([folds(60), 5 + folds(60)[:, ::-1]])
    mean = values.mean(1, keepdims=True)
    two, one = expected(values, fold), expected(mean)
    assert two.value == pytest.approx(one.value)
    assert two.low < two.value < two.high


def test_models_that_differ_between_folds_make_the_interval_wider() -> None:
    """Rows alone do not show it: the number of right answers is equal, but uneven across folds."""
    even = answers(0, [0.8] * 6, rows=1000)
    rng = np.random.default_rng(0)
    uneven = even.copy()
    for trial in range(6):
        for k, share in enumerate(rng.normal(0.8, 0.06, 5)):
            uneven[trial, 0, k::5] = rng.permutation(np.arange(200) < 200 * share)
    narrow, wide = expected(even), expected(uneven)
    assert wide.high - wide.low > 1.3 * (narrow.high - narrow.low)


# Metrics over all rows --------------------------------------------------------------------------


def by_fold_of(measure: Any, target: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """Scores of predictions (t, 1, n, ...) on each of five folds."""
    return np.array(
        [[measure(target[k::5], said[0, k::5]) for k in range(5)] for said in predictions]
    )


def over_all(
    measure: Any, target: np.ndarray, predictions: np.ndarray, samples: int = 200
) -> Expected | None:
    fold, rows = folds(len(target)), np.arange(len(target))
    by_fold = by_fold_of(measure, target, predictions)
    plan = plan_of(by_fold, fold, columns=predictions[0, 0, 0].size, sign=1)
    plan = replace(plan, samples=samples)
    given = (target, dict(enumerate(predictions)), fold, rows, by_fold)
    return expected_over_all(measure, *given, plan=plan, sign=1, seed=3)


def test_a_metric_over_all_rows_that_is_a_mean_is_as_one_of_rows() -> None:
    values = answers(0, [0.72, 0.72, 0.74], rows=200)
    target = np.ones(200)

    def accuracy(target: np.ndarray, answer: np.ndarray) -> float:
        return float((target == answer).mean())

    found, same = over_all(accuracy, target, values), expected(values)
    assert found is not None
    assert found.value == pytest.approx(same.value, abs=0.01)
    assert (found.low, found.high) == pytest.approx((same.low, same.high), abs=0.02)
    assert found == over_all(accuracy, target, values)


def scores_of(rng: np.random.Generator, target: np.ndarray, skill: float) -> np.ndarray:
    """Probabilities of three classes, (n, 3)."""
    logits = rng.normal(size=(len(target), 3)) + skill * np.eye(3)[target]
    return np.exp(logits) / np.exp(logits).sum(1, keepdims=True)


@pytest.mark.slow
def test_the_area_under_the_curve_of_several_classes_is_less_than_the_maximum() -> None:
    rng = np.random.default_rng(0)
    target = rng.integers(0, 3, 150)
    predictions = np.stack([[scores_of(rng, target, 1.0)] for _ in range(4)])
    measure = Measure(name="roc_auc", num_classes=3)
    found = over_all(measure, target, predictions, samples=25)
    assert found is not None
    best = max(np.mean([measure(target[k::5], p[0, k::5]) for k in range(5)]) for p in predictions)
    assert 0.5 < found.low < found.value < best < found.high
    assert found.trials == 4


def test_parts_of_folds_without_a_class_are_left_out() -> None:
    rng = np.random.default_rng(0)
    target = np.where(np.arange(100) < 10, 2, rng.integers(0, 2, 100))
    predictions = np.stack([[scores_of(rng, target, 1.0)] for _ in range(2)])
    measure = Measure(name="roc_auc", num_classes=3)
    found = over_all(measure, target, predictions, samples=25)
    assert found is not None
    assert 0 < found.low < found.high <= 1.05


def test_a_metric_that_hardly_any_sample_defines_is_not_known() -> None:
    target, predictions = np.arange(50.0), np.zeros((2, 1, 50))

    def whole_folds_only(target: np.ndarray, prediction: np.ndarray) -> float:
        if len(np.unique(target)) < 10:
            raise ZeroDivisionError
        return 1.0

    assert over_all(whole_folds_only, target, predictions) is None


def test_a_regression_is_not_blamed_for_the_small_parts_that_are_left_out() -> None:
    """R2 of a few rows is too low on average; with one good trial there is no selection bias."""
    rng = np.random.default_rng(0)
    target = rng.normal(size=100)
    good, bad = target + rng.normal(0, 0.5, 100), rng.normal(size=100)
    predictions = np.stack([[good], [bad]])
    found = over_all(r2_score, target, predictions)
    assert found is not None
    score = by_fold_of(r2_score, target, predictions)[0].mean()
    assert found.value == pytest.approx(score)
    assert found.low < score < found.high


# What is computed -------------------------------------------------------------------------------


def test_only_trials_that_may_be_the_best_take_part() -> None:
    rng = np.random.default_rng(0)
    by_fold = 0.9 + rng.normal(0, 0.02, (40, 5))
    by_fold[::2] -= 0.3
    plan = plan_of(by_fold, folds(500), columns=1, sign=1)
    assert 2 <= len(plan.trials) <= 20
    assert plan.trials[0] == by_fold.mean(1).argmax()
    assert all(trial % 2 for trial in plan.trials)
    assert plan_of(-by_fold, folds(500), columns=1, sign=-1) == plan


def test_many_rows_or_folds_take_no_longer() -> None:
    by_fold = np.tile([0.7, 0.8, 0.75, 0.72, 0.78], (30, 1))
    seconds = [
        plan_of(by_fold, folds(rows), columns=columns, sign=1).seconds
        for rows, columns in ((200, 2), (10_000, 10), (100_000, 2))
    ]
    assert max(seconds) < 20
    repeated = plan_of(np.tile(by_fold, 10), np.tile(folds(500), (10, 1)), columns=2, sign=1)
    assert repeated.seconds < 20
