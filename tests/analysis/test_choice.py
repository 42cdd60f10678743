"""Rules that choose a configuration to export."""

import numpy as np
import pytest

from analysis.choice import choose
from analysis.results import Sweep
from tests.analysis import cases
from tests.analysis.cases import ACCURACY, RMSE, measured
from tests.refusals import text

NOISE = np.array([-0.02, -0.01, 0.0, 0.01, 0.02])
"""Deviation of each fold from the mean; the standard error of the best trial is 0.0071."""


def sweep(*trials: tuple[float, float], spread: float = 1.0, **more: object) -> Sweep:
    """Sweep of trials, each given as (mean score, number of parameters)."""
    objective = more.get("objective", ACCURACY)
    made = (
        cases.trial(
            i,
            tuple((mean + spread * np.roll(NOISE, i)).tolist()),
            name="s/a",
            measure=objective,
            num_params=size,
            train_time_s=10.0 / (i + 1),
        )
        for i, (mean, size) in enumerate(trials)
    )
    return cases.sweep("s/a", *made, num_folds=5, fold_rows=5000, **more)  # type: ignore[arg-type]


TRIALS = (0.950, 9000.0), (0.944, 500.0), (0.940, 100.0), (0.80, 10.0)


def test_the_best_is_the_best_mean() -> None:
    assert choose(sweep(*TRIALS), "best")[0].number == 0


def test_one_standard_error_takes_the_smallest_within_it() -> None:
    trial, why = choose(sweep(*TRIALS), "one-se")
    assert trial.number == 1
    smallest = text(
        "words.smallest", trial="s/a trial 1", parameters="500", best_parameters="9,000"
    )
    within = {"number": 2, "complete": 4, "error": "0.00707"}
    assert why == text("choice.within-error", **within, chosen=smallest)
    assert choose(sweep(*TRIALS[2:]), "one-se")[0].number == 0
    errors = [(50 - 10 * score, size) for score, size in TRIALS]
    assert choose(sweep(*errors, objective=RMSE), "one-se")[0].number == 0
    assert choose(sweep(*errors, objective=RMSE, spread=10.0), "one-se")[0].number == 1


def test_lack_of_power_makes_no_small_one_equivalent() -> None:
    trial, why = choose(sweep(*TRIALS), "equivalent-smallest")
    assert trial.number == 0
    assert why == text("words.none-equivalent", limit="1.0 percentage point")


def test_the_smallest_of_those_shown_to_be_equivalent_is_chosen() -> None:
    close = [(0.950, 9000.0), (0.9495, 500.0), (0.949, 100.0), (0.80, 10.0)]
    trial, why = choose(sweep(*close, spread=0.005), "equivalent-smallest")
    assert trial.number == 2
    least = text("words.smallest", trial="s/a trial 2", parameters="100", best_parameters="9,000")
    assert why == text(
        "words.several-equivalent", number=2, limit="1.0 percentage point", least=least
    )
    assert choose(sweep(*close), "equivalent-smallest", rope=0.1)[0].number in (1, 2)


def test_of_estimators_the_fastest_is_chosen() -> None:
    fits = [(mean, 0.0) for mean, _ in TRIALS]
    trial, why = choose(sweep(*fits), "one-se")
    assert trial.number == 1
    fastest = text("words.fastest", trial="s/a trial 1", seconds="5", best_seconds="10")
    assert why.endswith(fastest)


def test_finals_do_not_change_what_the_sweeps_own_folds_say() -> None:
    finals = tuple(measured("s/a", i, 0.5 + i / 10, 0.5 + i / 10) for i in (0, 1))
    assert choose(sweep(*TRIALS, finals=finals), "equivalent-smallest")[0].number == 0


@pytest.mark.parametrize("rule", ["best", "one-se", "equivalent-smallest"])
def test_of_one_trial_there_is_no_choice(rule: str) -> None:
    assert choose(sweep(TRIALS[0]), rule)[0].number == 0  # type: ignore[arg-type]
