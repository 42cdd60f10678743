"""Intervals, sets and the worth of a maximum, against references and on simulated sweeps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import special, stats

from analysis.significance import (
    ALPHA,
    POWER,
    Difference,
    FoldNoise,
    difference,
    fold_noise,
    rank,
    repeats_to_decide,
    shrunken_best,
    tukey,
)

FIVE = 1 / 4
"""Overlap of five folds."""


def noisy_folds(rng, trials, num_folds, sigma=0.02):
    """Scores of configurations that are all equally good, in steps of one row of 200.

    What the training parts share moves all folds of a configuration together: correlation 1 / k.
    """
    rho = 1 / num_folds
    scores = 0.9 + rng.normal(0, sigma, (1, num_folds))
    scores = scores + rng.normal(0, sigma * np.sqrt(rho), (trials, 1))
    scores = scores + rng.normal(0, sigma * np.sqrt(1 - rho), (trials, num_folds))
    return np.round(scores * 200) / 200


def between(scores, a, b, *, rows=2, **options):
    """The difference of two trials, by the noise that all show."""
    noise = fold_noise(scores, overlap=1 / (scores.shape[1] - 1), **options)
    mean = float(scores[a].mean() - scores[b].mean())
    return difference(mean, noise.error(a, b), df=noise.df, rows=rows)


# Variances --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("num_folds", "repeats"), [(5, 1), (10, 1), (3, 4)])
def test_of_two_trials_it_is_the_test_of_nadeau_and_bengio(num_folds, repeats):
    scores = np.random.default_rng(num_folds).normal(0.9, 0.02, (2, num_folds * repeats))
    ratio, n = 1 / (num_folds - 1), num_folds * repeats
    noise = fold_noise(scores, overlap=ratio)
    found = difference(
        float(np.diff(scores.mean(1))[0]) * -1, noise.error(0, 1), df=noise.df, rows=2
    )
    # the plain paired test, whose statistic the correction scales
    plain = stats.ttest_rel(*scores)
    t = plain.statistic * np.sqrt((1 / n) / (1 / n + ratio))
    assert found.mean / noise.error(0, 1) == pytest.approx(t, rel=1e-12)
    assert found.p == pytest.approx(2 * stats.t.sf(abs(t), n - 1), rel=1e-12)
    assert noise.df == n - 1


def test_variances_are_those_of_what_trials_and_folds_leave():
    scores = np.random.default_rng(0).normal(0, 1, (4, 6))
    table = scores - scores.mean(1, keepdims=True) - scores.mean(0) + scores.mean()
    raw = (table**2).sum(1) / (5 * (1 - 1 / 4))
    noise = fold_noise(scores + 10 * np.arange(6) + np.arange(4)[:, None], overlap=0.2)
    assert (noise.variances >= raw * (1 - 1e-9)).all()
    assert noise.variances.max() <= raw.max() * (1 + 1e-9)
    assert noise.error(1, 2) == pytest.approx(
        np.sqrt((1 / 6 + 0.2) * noise.variances[[1, 2]].sum())
    )


def test_variances_that_agree_are_pooled_and_others_are_kept_apart():
    rng = np.random.default_rng(1)
    alike = fold_noise(rng.normal(0, 1, (200, 5)), overlap=FIVE)
    assert alike.variances.min() > 0.8
    assert alike.df > 100
    loud = np.where(np.arange(200) < 100, 1.0, 30.0)[:, None]
    apart = fold_noise(rng.normal(0, loud, (200, 5)), overlap=FIVE)
    assert apart.variances[:100].mean() < apart.variances[100:].mean() / 50
    assert 4 <= apart.df < 10


def test_the_common_variance_is_that_of_smyth():
    """Variances drawn as his model says: a scaled F with d0 = 8 and s0^2 = 3."""
    rng = np.random.default_rng(2)
    df, prior_df, prior = 4, 8, 3.0
    truth = prior * prior_df / rng.chisquare(prior_df, 20_000)
    # residuals of trials without fold effects, so that their variances are these
    scores = rng.normal(0, np.sqrt(truth)[:, None], (20_000, df + 1))
    noise = fold_noise(scores, overlap=FIVE)
    raw = scores.var(1, ddof=1)
    low = raw < prior  # a variance is moved upwards only
    slope, middle = np.polyfit(raw[low], noise.variances[low], 1)
    assert noise.variances[~low] == pytest.approx(raw[~low], rel=0.05)
    assert slope == pytest.approx(df / (df + prior_df), rel=0.05)
    assert middle == pytest.approx(prior_df * prior / (df + prior_df), rel=0.05)
    assert noise.df == pytest.approx(df + prior_df, abs=1)
    # the equation of his section 6.2
    logs = np.log(raw) - special.digamma(df / 2) + np.log(df / 2)
    half = (noise.df - df) / 2
    assert special.polygamma(1, half) == pytest.approx(
        logs.var(ddof=1) - special.polygamma(1, df / 2), rel=0.2
    )


def test_equal_scores_say_nothing_against_equality_and_rounding_is_no_certainty():
    a = np.array([0.91, 0.905, 0.9, 0.92, 0.915])
    apart = np.array([a, a - 0.005])
    certain, careful = between(apart, 0, 1), between(apart, 0, 1, resolution=1 / 200)
    assert certain.p < 1e-6 < 0.01 < careful.p
    assert (certain.low, certain.high) == pytest.approx((0.005, 0.005))
    same = between(np.array([a, a]), 0, 1)
    assert (same.p, same.low, same.high) == pytest.approx((1.0, 0.0, 0.0), abs=1e-12)


@pytest.mark.parametrize("shape", [(1, 5), (3, 1)])
def test_fewer_than_two_trials_or_scores_are_refused(shape):
    with pytest.raises(ValueError, match="two trials and two scores of each"):
        fold_noise(np.ones(shape), overlap=FIVE)


# Pairs of rows ----------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [2, 3, 6])
def test_critical_values_are_those_of_tukeys_test(rows):
    """The half width of scipy's interval, of as many groups with the same degrees of freedom."""
    size = 7
    groups = np.random.default_rng(rows).normal(0, 1, (rows, size))
    found = stats.tukey_hsd(*groups).confidence_interval(1 - ALPHA)
    half = (found.high - found.low)[0, 1] / 2
    error = np.sqrt(2 * groups.var(1, ddof=1).mean() / size)
    assert tukey(rows, rows * (size - 1)) * error == pytest.approx(half, rel=1e-6)


@given(
    mean=st.floats(-1, 1),
    error=st.floats(1e-3, 1),
    df=st.integers(2, 200),
    rows=st.sampled_from([2, 3, 5]),
    rope=st.floats(0, 0.5),
)
@settings(max_examples=60)
def test_p_interval_and_verdict_never_contradict_each_other(mean, error, df, rows, rope):
    found = difference(mean, error, df=df, rows=rows)
    assert found.low <= found.mean <= found.high
    decided = found.low > 0 or found.high < 0
    if abs(found.p - ALPHA) > 1e-4:
        assert decided == (found.p < ALPHA)
    verdict = found.verdict(rope=rope, sign=1)
    inside = -rope < found.low and found.high < rope
    assert (verdict in ("better", "slightly better")) == (found.low > 0)
    assert (verdict in ("equivalent", "slightly better")) == inside
    assert found.detectable > (found.high - found.low) / 2


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.02, 0.05, "better"),
        (0.005, 0.02, "better"),
        (0.001, 0.009, "slightly better"),
        (-0.009, 0.009, "equivalent"),
        (-0.009, 0.02, "inconclusive"),
        (-0.02, 0.009, "inconclusive"),
    ],
)
def test_the_interval_decides(low, high, verdict):
    found = Difference(mean=(low + high) / 2, low=low, high=high, p=0.5, detectable=0.1)
    assert found.verdict(rope=0.01, sign=1) == verdict
    mirrored = Difference(mean=-(low + high) / 2, low=-high, high=-low, p=0.5, detectable=0.1)
    assert mirrored.verdict(rope=0.01, sign=-1) == verdict


@pytest.mark.parametrize("budgets", [(1, 1), (20, 20), (3, 60)])
def test_where_nothing_differs_better_is_claimed_at_most_at_the_nominal_rate(budgets):
    """Two sweeps of equally good configurations, also with unequal budgets; 400 simulations."""
    rng = np.random.default_rng(1)
    claims = 0
    for _ in range(400):
        # all configurations of one simulation are judged on the same folds
        scores = noisy_folds(rng, sum(budgets), 5)
        parts = scores[: budgets[0]], scores[budgets[0] :]
        i, j = (int(part.mean(1).argmax()) for part in parts)
        noise = fold_noise(scores, overlap=FIVE, resolution=1 / 200)
        gap = shrunken_best(parts[0]) - shrunken_best(parts[1])
        error = noise.error(i, budgets[0] + j)
        claims += difference(gap, error, df=noise.df, rows=2).p < ALPHA
    # within what 400 draws of probability 0.05 bring 199 times of 200
    assert claims <= stats.binom.ppf(0.995, 400, ALPHA)


def test_what_is_called_detectable_is_detected_four_times_of_five():
    rng = np.random.default_rng(2)
    error, df = 0.02, 40
    size = difference(0.0, error, df=df, rows=3).detectable
    seen = rng.normal(size, error, 4000) / (error * np.sqrt(rng.chisquare(df, 4000) / df))
    assert (seen > tukey(3, df)).mean() == pytest.approx(POWER, abs=0.03)


@pytest.mark.parametrize("fresh", [False, True])
def test_no_repeats_decide_a_gap_that_is_none(fresh):
    for spread in (0.0, 0.02):
        noise = FoldNoise(variances=np.full(2, spread**2), df=4, number=5, overlap=FIVE)
        args = {"rows": 2, "num_folds": 5, "fresh_rows": fresh}
        assert repeats_to_decide(noise, 0, 1, gap=0.0, **args) is None
    still = FoldNoise(variances=np.zeros(2), df=4, number=5, overlap=FIVE)
    assert repeats_to_decide(still, 0, 1, gap=0.1, rows=2, num_folds=5) is None


def test_a_noisy_trial_does_not_borrow_the_certainty_of_many_others():
    """One trial of a variant with three times the noise, beside twenty; 400 simulations."""
    rng = np.random.default_rng(6)
    claims = 0
    for _ in range(400):
        sigma = np.append(np.full(20, 0.01), 0.03)[:, None]
        own = np.sqrt(0.8) * rng.normal(size=(21, 5)) + np.sqrt(0.2) * rng.normal(size=(21, 1))
        scores = 0.9 + sigma * own
        best = int(scores[:20].mean(1).argmax())
        noise = fold_noise(scores, overlap=FIVE)
        gap = shrunken_best(scores[:20]) - float(scores[20].mean())
        error = noise.error(best, 20)
        claims += difference(gap, error, df=noise.df, rows=2).p < ALPHA
    assert claims <= 0.1 * 400  # 0.18 with variances that move both ways


def test_more_repeats_decide_a_gap_unless_the_overlap_forbids_it():
    noise = FoldNoise(variances=np.full(2, 0.02**2), df=4, number=5, overlap=FIVE)
    wanted = [
        repeats_to_decide(noise, 0, 1, gap=gap, rows=2, num_folds=5)
        for gap in (0.2, 0.06, 0.05, 0.01)
    ]
    assert wanted[0] == 1
    assert wanted[1] is not None
    assert wanted[2] is not None
    assert 1 < wanted[1] < wanted[2]
    assert wanted[3] is None  # more than 3 standard errors even with repeats without end
    fresh = repeats_to_decide(noise, 0, 1, gap=0.01, rows=2, num_folds=5, fresh_rows=True)
    assert fresh is not None
    # repeats with rows of their own: the error falls as the root of their number
    error = np.sqrt((1 / 5 + FIVE) / fresh * noise.variances.sum())
    df = 5 * fresh - 1
    assert (tukey(2, df) + stats.t.ppf(POWER, df)) * error == pytest.approx(0.01, rel=0.05)


# Trials of a sweep ------------------------------------------------------------------------------


def test_what_is_clearly_worse_is_distinguished():
    rng = np.random.default_rng(0)
    scores = np.concatenate([noisy_folds(rng, 4, 5), noisy_folds(rng, 3, 5) - 0.4])
    found = rank(scores, overlap=FIVE, resolution=1 / 200)
    assert found.undistinguished == 4
    assert sorted(found.order[:4]) == [0, 1, 2, 3]
    means = scores.mean(1)[list(found.order)]
    assert list(means) == sorted(means, reverse=True)


def test_too_little_data_makes_nothing_equivalent():
    """Lack of power is no equality: not distinguished, and not equivalent either."""
    scores = noisy_folds(np.random.default_rng(1), 6, 5)
    found = rank(scores, overlap=FIVE, rope=0.01)
    assert found.undistinguished == 6
    assert found.equivalent == 1
    assert found.detectable > 0.01


def test_much_data_makes_small_differences_equivalent():
    rng = np.random.default_rng(2)
    scores = 0.9 + rng.normal(0, 0.0005, (6, 10)) - 0.001 * np.arange(6)[:, None]
    found = rank(scores, overlap=1 / 9, rope=0.01)
    assert found.equivalent == 6
    assert found.undistinguished < 6  # negligibly better
    assert rank(scores, overlap=1 / 9, rope=0.0).equivalent == 1


@given(
    arrays(
        float,
        st.tuples(st.integers(1, 8), st.integers(2, 6)),
        elements=st.floats(0, 1, width=16),
    ),
    st.sampled_from([0.0, 0.05, 0.3]),
    st.sampled_from([1, -1]),
)
@settings(max_examples=150)
def test_both_sets_are_closed_in_the_order_of_means(scores, rope, sign):
    """No worse trial is in where a better one is out, whatever the noise of each."""
    found = rank(scores, overlap=FIVE, rope=rope, sign=sign, resolution=1 / 50)
    size = len(scores)
    means = (sign * scores.mean(1))[list(found.order)]
    assert (np.diff(means) <= 0).all()
    assert sorted(found.order) == list(range(size))
    assert 1 <= found.undistinguished <= size
    assert 1 <= found.equivalent <= size
    if size == 1:
        return
    noise = fold_noise(scores[list(found.order)], overlap=FIVE, resolution=1 / 50)
    wide = stats.t.isf(ALPHA / (size - 1), noise.df)
    # beaten by nobody: each of these must be in, and so all that are better
    unbeaten = [
        i
        for i in range(size)
        if all(means[j] - means[i] - wide * noise.error(j, i) <= 0 for j in range(size) if j != i)
    ]
    assert found.undistinguished == max([*unbeaten, 0]) + 1
    behind = [
        max(
            (
                means[j] - means[i] + wide * noise.error(j, i)
                for j in range(found.undistinguished)
                if j != i
            ),
            default=0.0,
        )
        for i in range(size)
    ]
    assert all(behind[i] < rope for i in range(1, found.equivalent))
    if found.equivalent < size:
        assert behind[found.equivalent] >= rope


def test_the_true_best_is_rarely_left_out():
    """Thirty configurations of some spread; 300 simulations at a level of 5 %."""
    rng = np.random.default_rng(3)
    lost = 0
    for _ in range(300):
        truth = rng.normal(0, 0.02, 30)
        found = rank(noisy_folds(rng, 30, 5) + truth[:, None], overlap=FIVE)
        lost += int(truth.argmax()) not in found.order[: found.undistinguished]
    assert lost <= stats.binom.ppf(0.995, 300, ALPHA)


def test_lower_is_better_mirrors_everything():
    scores = noisy_folds(np.random.default_rng(0), 6, 5)
    assert rank(1 - scores, overlap=FIVE, sign=-1).order == rank(scores, overlap=FIVE).order
    assert shrunken_best(1 - scores, sign=-1) == pytest.approx(1 - shrunken_best(scores))
    assert shrunken_best(1 - scores, sign=-1) > (1 - scores).mean(1).min()  # the bias is taken off


# The worth of a maximum -------------------------------------------------------------------------


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


def test_repeats_of_the_folds_leave_the_overlap_of_training_parts():
    truth = np.linspace(0.85, 0.9, 10)[:, None]
    scores = np.random.default_rng(5).normal(truth, 0.02, (10, 10))
    once, twice = shrunken_best(scores), shrunken_best(scores, overlap=FIVE)
    assert np.median(scores.mean(1)) <= twice < once < scores.mean(1).max()
