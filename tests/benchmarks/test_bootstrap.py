"""Simulated sweeps that evaluate the bootstrap."""

import numpy as np
import pytest

from bootstrap import ACCURACY, FOLDS, TRUTHS, simulated


@pytest.mark.parametrize("truths", TRUTHS.values(), ids=TRUTHS.keys())
def test_a_simulated_sweep_has_the_accuracies_that_it_names(
    truths: tuple[float, float, float],
) -> None:
    rng = np.random.default_rng(0)
    sweeps = [simulated(rng, 500, 30, *truths) for _ in range(60)]
    assert all(2 <= len(sweep.truth) < 30 for sweep in sweeps)
    assert {tuple(np.bincount(sweep.fold)) for sweep in sweeps} == {(100,) * FOLDS}
    seen = np.concatenate([sweep.right.mean(1) - sweep.truth for sweep in sweeps])
    assert abs(seen.mean()) < 0.02
    assert abs(np.mean([sweep.truth.max() for sweep in sweeps]) - ACCURACY) < 0.05
