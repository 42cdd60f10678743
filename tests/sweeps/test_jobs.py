"""Rungs, lags, the rungs of one trial, and a trial's mean cost."""

import pytest

from sweeps.jobs import Rung, lags_of, mean_epochs, rungs_of, stops
from sweeps.settings import SweepSettings
from tests.refusals import refused

ONE = SweepSettings(space=("mlp",), objective=("val_accuracy",))


def test_the_last_of_several_rungs_lets_half_go_on() -> None:
    assert rungs_of(ONE, 30) == (Rung(epochs=3, reduction=3), Rung(epochs=10, reduction=2))
    assert rungs_of(ONE, 9) == (Rung(epochs=3, reduction=3),)
    assert rungs_of(ONE, 300, most=1) == (Rung(epochs=100, reduction=3),)
    assert rungs_of(ONE, 1) == ()


@pytest.mark.parametrize("scheduler", ["none", "asha-stop", "hyperband", "median"])
def test_other_schedulers_pause_nothing(scheduler: str) -> None:
    settings = SweepSettings(scheduler=scheduler, objective=("val_accuracy",))  # type: ignore[arg-type]
    assert rungs_of(settings, 30) == ()
    both = SweepSettings(objective=("val_accuracy", "num_params"))
    assert rungs_of(both, 30) == ()


def test_lags_rise_from_rung_to_rung() -> None:
    assert [lags_of(ONE, n) for n in range(4)] == [(8,), (4, 16), (4, 8, 16), (4, 6, 10, 16)]
    given = SweepSettings(lag=(3,))
    assert lags_of(given, 2) == (3, 3, 3)
    assert lags_of(SweepSettings(lag=(1, 2, 3)), 2) == (1, 2, 3)


def test_a_wrong_number_of_lags_is_refused() -> None:
    with refused("jobs.wrong-number-of-lags", lags="1 2", number=2, needed=3):
        lags_of(SweepSettings(lag=(1, 2)), 2)


def test_few_sampled_trials_are_not_stopped_early() -> None:
    assert stops(rungs_of(ONE, 30), 30, sampled=8) == (2,)
    assert stops(rungs_of(ONE, 30), 30, sampled=9) == (0, 1, 2)


def test_rungs_without_a_comparison_are_passed() -> None:
    rungs = rungs_of(ONE, 30)
    assert stops(rungs, 10, sampled=30) == (0, 2)
    assert stops(rungs, 30, pretrain_epochs=3, sampled=30) == (1, 2)
    assert stops(rungs, 2, sampled=30) == (2,)


def test_what_a_trial_costs_on_average() -> None:
    rungs = rungs_of(ONE, 30)
    assert mean_epochs(rungs, 30) == pytest.approx(3 + 7 / 3 + 20 / 6)
    assert mean_epochs(rungs, 30, 5) == 10 + 20 / 2
    assert mean_epochs(rungs, 30, 12) == 30
    assert mean_epochs(rungs, 8) == pytest.approx(3 + 5 / 3)
