import numpy as np
import pytest
from scipy import stats

import real_folds
import significance
from real_folds import MODELS, correlation, cross_validated, summary
from significance import SIGMA, SignificanceSettings, Truth, choices, holm_p, simulate

FEW = SignificanceSettings(simulations=20)


@pytest.mark.parametrize(("rho", "want"), [(None, 0.2), (0.4, 0.4)])
@pytest.mark.parametrize("skewed", [False, True])
def test_simulated_folds_have_the_correlation_that_is_said(
    rho: float | None, want: float, skewed: bool
) -> None:
    case = Truth(trials=(4000,), rho=rho, skewed=skewed)
    truth, scores = case.draw(np.random.default_rng(0))
    assert not truth.any()
    own = scores - scores.mean(0)  # without the effect of a fold on all trials
    found = np.corrcoef(own, rowvar=False)[np.triu_indices(5, 1)]
    assert found.mean() == pytest.approx(want, abs=0.03)
    assert own.std() == pytest.approx(SIGMA, rel=0.05)


def test_the_test_before_is_that_of_nadeau_and_bengio() -> None:
    drawn = simulate(Truth(trials=(1, 1)), np.random.default_rng(1))
    (p,) = holm_p(drawn, 5).values()
    plain = stats.ttest_rel(*drawn.scores)
    t = plain.statistic * np.sqrt((1 / 5) / (1 / 5 + 1 / 4))
    assert p == pytest.approx(2 * stats.t.sf(abs(t), 4))
    assert holm_p(drawn, 5, shift=1.0)[0, 1] < 1e-3


def test_choices_of_one_sweep_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(significance, "CHOICES", (Truth(trials=(6,)),))
    ((folds, trials, _, lost, wrong, size),) = choices(FEW).rows
    assert (folds, trials, lost, wrong) == ("5", "6", "0.000", "0.000")
    assert size.endswith(" of 6")


def test_the_correlation_of_folds_is_found_from_the_variances() -> None:
    rng = np.random.default_rng(2)
    sets = np.sqrt(0.3) * rng.normal(size=(20_000, 1)) + np.sqrt(0.7) * rng.normal(
        size=(20_000, 5)
    )
    assert correlation(sets) == pytest.approx(0.3, abs=0.02)


def test_configurations_are_cross_validated_and_measured_on_other_images(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    few = {name: MODELS[name] for name in ("ridge 100", "tree 4", "knn 1")}
    monkeypatch.setattr(real_folds, "MODELS", few)
    rng = np.random.default_rng(3)
    images = rng.normal(size=(120, 4))
    labels = (images[:, 0] > 0).astype(int)
    scores, tested = cross_validated(images[:60], labels[:60], images[60:], labels[60:])
    assert scores.shape == (3, 5)
    assert (tested > 0.6).all()
    said = dict(summary(np.array([scores, scores]), tested).rows)
    assert said["a pair falsely called different"] == "0.000"
