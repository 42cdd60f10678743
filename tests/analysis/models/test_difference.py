"""Significance tests of two models on the same rows: level, direction and edge cases."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from analysis.models import difference
from analysis.models.difference import compared, interval, mcnemar
from foldsweep.numbers import shown
from tests.refusals import refused, said_as, text
from trainables.keep.measure import Measured
from trainables.tasks.metrics import Metric
from trainables.tasks.scores import metric as metric_of

ACCURACY = Metric(of=np.mean, better="higher", equal=0.01)
ERROR = Metric(of=np.mean, better="lower", equal=0.01)
AUC = metric_of("roc_auc", kind="classification", num_classes=2)


def answers(*runs):
    """Array of right and wrong answers: `(3, True)` stands for three right answers in a row."""
    return np.concatenate([np.full(count, right) for count, right in runs])


def by_row(values, metric=ERROR):
    return Measured(metric=metric, rows=np.asarray(values, dtype=float))


def test_only_rows_on_which_two_differ_count():
    ours = answers((500, True), (12, True), (4, False), (100, False))
    theirs = answers((500, True), (12, False), (4, True), (100, False))
    wanted = stats.binomtest(12, 16).pvalue
    assert mcnemar(ours, theirs) == wanted == pytest.approx(0.0768, abs=1e-4)
    assert mcnemar(theirs, ours) == mcnemar(ours, theirs)


def test_equal_answers_are_no_difference():
    same = answers((30, True), (20, False))
    assert mcnemar(same, same) == 1.0


def test_exact_test_keeps_its_level():
    """For equally good models it finds a difference in at most 5 % of the cases."""
    rng = np.random.default_rng(0)
    found = [mcnemar(*(rng.random((2, 200)) < 0.9)) < 0.05 for _ in range(1000)]
    assert np.mean(found) < 0.05


def test_accuracies_are_compared_by_the_exact_test():
    ours = answers((80, True), (12, True), (1, False))
    theirs = answers((80, True), (12, False), (1, True))
    one, two = by_row(ours, ACCURACY), by_row(theirs, ACCURACY)
    found = compared("accuracy", one, two)
    assert found.better
    assert found.said == text("difference.p-value", p=mcnemar(ours, theirs))
    assert not compared("accuracy", two, one).better
    assert compared("accuracy", one, one).said == text("difference.p-value", p=1)


def test_interval_is_that_of_scipy_s_bootstrap():
    rng = np.random.default_rng(1)
    ours, theirs = rng.normal(0, 1, 300), rng.normal(0.1, 1, 300)
    low, high = interval(by_row(ours), by_row(theirs))
    wanted = stats.bootstrap(
        (ours - theirs,), np.mean, n_resamples=4000, method="percentile", rng=2
    ).confidence_interval
    assert (low, high) == pytest.approx((wanted.low, wanted.high), abs=0.02)
    assert interval(by_row(ours), by_row(theirs)) == (low, high)


@pytest.mark.slow
def test_bootstrap_keeps_its_level(few_resamples):
    rng = np.random.default_rng(3)
    found = []
    for _ in range(100):
        one, two = rng.normal(size=(2, 150))
        found.append(compared("mae", by_row(one), by_row(two)).better)
    assert np.mean(found) < 0.08


def test_direction_is_that_of_the_metric():
    rng = np.random.default_rng(4)
    small, large = rng.normal(1, 0.1, 200), rng.normal(2, 0.1, 200)
    assert compared("rmse", by_row(small), by_row(large)).better
    assert not compared("rmse", by_row(large), by_row(small)).better
    up, down = by_row(large, ACCURACY), by_row(small, ACCURACY)
    assert compared("score", up, down).better
    assert not compared("score", down, up).better
    assert not compared("score", up, up).better
    low, high = interval(up, down)
    assert 0.9 < low < 1 < high
    said = compared("score", up, down).said
    assert said == text("difference.interval", low=shown(low), high=shown(high))


@pytest.fixture
def few_resamples(monkeypatch):
    monkeypatch.setattr(difference, "RESAMPLES", difference.FEWEST)


def over_all(target, probability):
    return Measured(metric=AUC, target=target, prediction=probability)


def two_models(rows=200, seed=5):
    rng = np.random.default_rng(seed)
    target = rng.integers(0, 2, rows)
    good = np.clip(target * 0.4 + rng.random(rows) * 0.6, 0, 1)
    bad = rng.random(rows)
    return target, *(np.column_stack([1 - p, p]) for p in (good, bad))


@pytest.mark.slow
def test_metric_over_all_rows_is_resampled_too(few_resamples):
    target, good, bad = two_models()
    ours, theirs = over_all(target, good), over_all(target, bad)
    found = compared("roc_auc", ours, theirs)
    assert found.better
    assert not compared("roc_auc", theirs, ours).better
    apart = roc_auc_score(target, good[:, 1]) - roc_auc_score(target, bad[:, 1])
    low, high = interval(ours, theirs)
    assert low < apart < high


def test_whole_groups_are_drawn():
    """Rows of a group are equal, so ten groups of twenty rows have the information of ten rows."""
    rng = np.random.default_rng(6)
    of_group = rng.normal(0, 1, 10)
    groups = np.repeat([f"g{i}" for i in range(10)], 20)
    ours, theirs = by_row(np.repeat(of_group, 20)), by_row(np.zeros(200))
    low, high = interval(ours, theirs, groups)
    apart = interval(by_row(of_group), by_row(np.zeros(10)))
    assert (low, high) == pytest.approx(apart, abs=0.15)
    narrow = interval(ours, theirs)
    assert high - low > 3 * (narrow[1] - narrow[0])


def test_accuracy_of_grouped_rows_is_resampled():
    groups = np.repeat(np.arange(6), 10)
    ours, theirs = by_row(answers((60, True)), ACCURACY), by_row(answers((60, True)), ACCURACY)
    said = compared("accuracy", ours, theirs, groups).said
    assert said_as("difference.interval").fullmatch(said)


def test_resamples_without_a_class_are_left_out(few_resamples):
    target, good, bad = two_models(rows=12)
    target[:] = 0
    target[:3] = 1
    low, high = interval(over_all(target, good), over_all(target, bad))
    assert -1 <= low <= high <= 1


def test_too_few_rows_for_the_metric_are_refused():
    target, good, bad = two_models(rows=12)
    target[:] = 0
    with refused("difference.too-few-rows", rows=12):
        interval(over_all(target, good), over_all(target, bad))


def test_many_rows_take_fewer_resamples():
    calls = []

    class Counted(Measured):
        def value(self, places=slice(None)):
            calls.append(len(places))
            return 0.0

    rows = np.zeros(20_000)
    one = Counted(metric=ERROR, rows=rows)
    interval(one, one)
    assert len(calls) == 2 * 400
    calls.clear()
    few = Counted(metric=ERROR, rows=rows[:50])
    interval(few, few)
    assert len(calls) == 2 * 2000
