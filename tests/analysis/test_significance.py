import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.significance import ALPHA, difference, holm, like_the_best, shrunken_best

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of its own docstrings, on newer Pythons
    import baycomp


def noisy_folds(rng, trials, num_folds, sigma=0.02):
    """Scores of configurations that are all equally good, in steps of one pair of 200.

    What the training parts share moves all folds of a configuration together: correlation 1 / k.
    """
    rho = 1 / num_folds
    scores = 0.9 + rng.normal(0, sigma, (1, num_folds))
    scores = scores + rng.normal(0, sigma * np.sqrt(rho), (trials, 1))
    scores = scores + rng.normal(0, sigma * np.sqrt(1 - rho), (trials, num_folds))
    return np.round(scores * 200) / 200


@pytest.mark.parametrize(("num_folds", "repeats"), [(5, 1), (10, 1), (3, 4)])
def test_the_corrected_t_test_is_that_of_nadeau_and_bengio(num_folds, repeats):
    rng = np.random.default_rng(num_folds)
    a, b = rng.normal(0.9, 0.02, (2, num_folds * repeats))
    found = difference(a, b, num_folds=num_folds)
    # the plain paired test, whose statistic the correction scales
    plain = stats.ttest_rel(a, b)
    n, ratio = num_folds * repeats, 1 / (num_folds - 1)
    t = plain.statistic * np.sqrt((1 / n) / (1 / n + ratio))
    assert found.t == pytest.approx(t, rel=1e-12)
    assert found.p == pytest.approx(2 * stats.t.sf(abs(t), n - 1), rel=1e-12)
    assert found.low < found.mean < found.high
    inside = difference(a - found.low, b, num_folds=num_folds)
    assert inside.p == pytest.approx(ALPHA, rel=1e-9)  # the interval's ends are just rejected


@pytest.mark.parametrize(("num_folds", "repeats"), [(5, 1), (10, 1), (10, 10)])
@pytest.mark.parametrize("rope", [0.0, 0.01])
def test_the_bayesian_test_equals_baycomp(num_folds, repeats, rope):
    rng = np.random.default_rng(repeats)
    a, b = rng.normal([[0.91], [0.9]], 0.02, (2, num_folds * repeats))
    ours = difference(a, b, num_folds=num_folds, rope=rope)
    theirs = baycomp.CorrelatedTTest(b, a, rope=rope, runs=repeats).probs()
    want = theirs if rope else (theirs[0], 0.0, theirs[1])
    assert (ours.p_worse, ours.p_equal, ours.p_better) == pytest.approx(want, abs=1e-9)


def test_exchanging_the_two_exchanges_the_answer():
    a, b = np.random.default_rng(0).normal(0.9, 0.02, (2, 5))
    one, other = difference(a, b, num_folds=5), difference(b, a, num_folds=5)
    assert one.mean == -other.mean
    assert one.p == other.p
    assert one.p_better == pytest.approx(other.p_worse)


def test_equal_differences_in_all_folds_are_not_certain():
    a = np.array([0.91, 0.905, 0.9, 0.92, 0.915])
    certain = difference(a, a - 0.005, num_folds=5)
    careful = difference(a, a - 0.005, num_folds=5, resolution=1 / 200)
    assert certain.p < 1e-6 < careful.p
    nothing = difference(a, a, num_folds=5)
    assert (nothing.p, nothing.p_equal) == (1.0, 1.0)


def test_a_single_score_is_refused():
    with pytest.raises(ValueError, match="two or more scores"):
        difference(np.array([0.9]), np.array([0.8]), num_folds=5)


def test_holm_adjusts_as_in_his_paper():
    # 0.01 * 4, 0.02 * 3, then never lower than before: 0.03 * 2, 0.04 * 1 -> 0.06
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_keeps_order_and_bounds(p):
    adjusted = holm(p)
    assert all(raw <= new <= 1 for raw, new in zip(p, adjusted, strict=True))
    order = np.argsort(p, kind="stable")
    assert (np.diff(np.array(adjusted)[order]) >= 0).all()
    assert min(adjusted) == pytest.approx(min(1.0, len(p) * min(p)))


def test_the_set_like_the_best_leaves_out_what_is_clearly_worse():
    rng = np.random.default_rng(0)
    scores = np.concatenate([noisy_folds(rng, 4, 5), noisy_folds(rng, 3, 5) - 0.4])
    kept = like_the_best(scores, num_folds=5, resolution=1 / 200)
    assert sorted(kept) == [0, 1, 2, 3]
    assert kept[0] == scores.mean(1).argmax()
    assert list(scores.mean(1)[kept]) == sorted(scores.mean(1)[kept], reverse=True)


@pytest.mark.parametrize("budgets", [(1, 1), (20, 20), (3, 60)])
def test_where_nothing_differs_better_is_claimed_at_most_at_the_nominal_rate(budgets):
    """Two sweeps of equally good configurations, also with unequal budgets; 400 simulations."""
    rng = np.random.default_rng(1)
    claims = 0
    for _ in range(400):
        # all configurations of one simulation are judged on the same folds
        scores = noisy_folds(rng, sum(budgets), 5)
        bests = []
        for part in (scores[: budgets[0]], scores[budgets[0] :]):
            best = part[part.mean(1).argmax()]
            bests.append(best - (best.mean() - shrunken_best(part)))
        claims += difference(*bests, num_folds=5, resolution=1 / 200).p < ALPHA
    # within what 400 draws of probability 0.05 bring 199 times of 200
    assert claims <= stats.binom.ppf(0.995, 400, ALPHA)


def test_a_real_difference_is_found():
    rng = np.random.default_rng(2)
    found = 0
    for _ in range(100):
        a, b = noisy_folds(rng, 2, 5)
        found += difference(a + 0.08, b, num_folds=5, resolution=1 / 200).p < ALPHA
    assert found >= 80


@pytest.mark.parametrize("failed", [0, 10])
def test_the_shrunken_best_is_far_less_biased_than_the_maximum(failed):
    """Thirty configurations of some spread, with or without failures among them."""
    rng = np.random.default_rng(3)
    raw, shrunken = [], []
    for _ in range(300):
        truth = rng.normal(0, 0.01, 30)
        truth[:failed] -= 0.3
        scores = noisy_folds(rng, 30, 5) + truth[:, None]
        best = scores.mean(1).argmax()
        fold_effect = scores.mean() - truth.mean() - 0.9
        raw.append(scores[best].mean() - fold_effect - 0.9 - truth[best])
        shrunken.append(shrunken_best(scores) - fold_effect - 0.9 - truth[best])
    assert np.mean(raw) > 0.01
    assert abs(np.mean(shrunken)) < np.mean(raw) / 3
    assert np.square(shrunken).mean() < np.square(raw).mean()


def test_one_configuration_is_not_shrunken():
    assert shrunken_best(np.array([[0.9, 0.8]])) == pytest.approx(0.85)
    assert shrunken_best(np.full((3, 2), 0.9)) == pytest.approx(0.9)


def test_where_lower_is_better_everything_is_mirrored():
    rng = np.random.default_rng(4)
    a, b = rng.normal([[50.0], [53.0]], 1.0, (2, 5))
    errors = difference(a, b, num_folds=5, rope=0.5, sign=-1)
    gains = difference(-a, -b, num_folds=5, rope=0.5)
    assert errors.mean == -gains.mean < 0  # in the scores' own unit
    assert (errors.low, errors.high) == pytest.approx((-gains.high, -gains.low))
    assert errors.p == gains.p
    for name in ("p_better", "p_equal", "p_worse"):
        assert getattr(errors, name) == pytest.approx(getattr(gains, name))
    assert errors.p_better > 0.9
    same = difference(a, a + 1, num_folds=5, rope=0.5, sign=-1)  # by the same in every fold
    assert (same.p_better, same.p_worse) == (1.0, 0.0)


def test_the_set_like_the_best_and_the_shrunken_best_take_the_lowest():
    scores = noisy_folds(np.random.default_rng(0), 6, 5)
    assert like_the_best(1 - scores, num_folds=5, sign=-1) == like_the_best(scores, num_folds=5)
    assert shrunken_best(1 - scores, sign=-1) == pytest.approx(1 - shrunken_best(scores))
    assert shrunken_best(1 - scores, sign=-1) > (1 - scores).mean(1).min()  # luck is taken off


def test_repeats_of_the_folds_leave_the_overlap_of_training_parts():
    scores = np.random.default_rng(5).normal(0.9, 0.02, (10, 10))
    once, twice = shrunken_best(scores), shrunken_best(scores, num_folds=5)
    assert np.median(scores.mean(1)) <= twice < once < scores.mean(1).max()
