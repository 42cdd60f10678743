from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import create_trial

from sampler_tools.around import Around, Prior, near, unit, value_at


@st.composite
def numbers(draw: st.DrawFn) -> FloatDistribution | IntDistribution:
    """Distribution of numbers of any kind: integers or floats, with or without log and step."""
    log, steps = draw(st.booleans()), draw(st.integers(0, 300))
    low = draw(st.integers(1 if log else -50, 50))
    if draw(st.booleans()):
        step = 1 if log else draw(st.integers(1, 9))
        return IntDistribution(low, low + steps * step, log=log, step=step)
    if not log and draw(st.booleans()):
        step = draw(st.sampled_from([0.125, 0.5]))
        return FloatDistribution(low * step, (low + steps) * step, step=step)
    return FloatDistribution(low / 1e3, (low + steps) / 1e3, log=log)


def is_in(value: Any, of: BaseDistribution) -> bool:
    """Whether Optuna accepts the value, and the value is on a step of the domain."""
    kind = int if isinstance(of, IntDistribution) else float
    trial = optuna.trial.FixedTrial({"x": value})
    match of:
        case IntDistribution(low=low, high=high, step=step, log=log):
            taken: float = trial.suggest_int("x", low, high, step=step, log=log)
        case FloatDistribution(low=low, high=high, step=step, log=log):
            taken = trial.suggest_float("x", low, high, step=step, log=log)
    steps = (value - of.low) / of.step if of.step else 0.0  # type: ignore[attr-defined]
    return (
        type(value) is kind
        and taken == value
        and of.low <= value <= of.high  # type: ignore[attr-defined]
        and steps == pytest.approx(round(steps))
    )


@given(numbers(), st.floats(0, 1))
def test_every_place_is_a_number_of_the_domain(
    of: FloatDistribution | IntDistribution, place: float
) -> None:
    value = value_at(of, place)
    assert is_in(value, of)
    if not of.single():
        assert 0 <= unit(of, value) <= 1
        assert value_at(of, unit(of, value)) == pytest.approx(value)


@given(st.lists(numbers(), min_size=1, max_size=4), st.integers(0, 2**32 - 1))
def test_draws_are_of_the_domain(found: list[Any], seed: int) -> None:
    rng = np.random.default_rng(seed)
    choice = CategoricalDistribution(("a", None, "[8, 16]", True))
    distributions: dict[str, BaseDistribution] = {str(i): of for i, of in enumerate(found)}
    distributions["choice"] = choice
    distributions = {name: of for name, of in distributions.items() if not of.single()}
    values: dict[str, Any] = {
        name: "[8, 16]" if of is choice else value_at(of, rng.random())  # type: ignore[arg-type]
        for name, of in distributions.items()
    }
    drawn = near(values, distributions, rng)
    assert drawn.keys() == distributions.keys()
    assert all(
        v in choice.choices if n == "choice" else is_in(v, distributions[n])
        for n, v in drawn.items()
    )


def test_draws_are_around_on_the_scale_of_the_domain() -> None:
    of, rng = FloatDistribution(1e-6, 1.0, log=True), np.random.default_rng(0)
    drawn = np.array([near({"x": 1e-3}, {"x": of}, rng)["x"] for _ in range(2000)])
    moved = np.log10(drawn[drawn != 1e-3])
    assert np.mean(drawn == 1e-3) == pytest.approx(0.5, abs=0.05)
    assert np.mean(moved) == pytest.approx(-3, abs=0.1)


OF: dict[str, BaseDistribution] = {"x": FloatDistribution(0, 1), "y": FloatDistribution(1, 99)}


def shares_kept(prior: Prior, *, seen: bool) -> tuple[float, float]:
    """Fractions of third trials with the x of the first, and of the second, better trial."""
    study = optuna.create_study(direction="maximize")
    first, second = {"x": 0.123, "y": 7.0}, {"x": 0.456, "y": 55.0}
    for value, params in enumerate((first, second)):
        study.enqueue_trial(params)
        asked = study.ask(OF)
        if seen:
            study.tell(asked, float(value))
    found = []
    for seed in range(400):
        study.sampler = Around(optuna.samplers.RandomSampler(seed=seed), OF, prior, seed)
        asked = study.ask(OF)
        study.tell(asked, state=optuna.trial.TrialState.FAIL)
        assert asked.params not in (first, second)
        found.append([asked.params["x"] == params["x"] for params in (first, second)])
    near_first, near_second = np.mean(found, axis=0)
    return near_first, near_second


def test_around_the_first_trial_until_results_are_seen_then_around_the_best() -> None:
    prior = Prior(initial=0.5, best=0.25)
    # x stays in 1/3 of the draws near a trial: no draw repeats it, so x, y or both change
    assert shares_kept(prior, seen=False) == (pytest.approx(1 / 6, abs=0.06), 0)
    assert shares_kept(prior, seen=True) == (0, pytest.approx(1 / 12, abs=0.05))
    assert shares_kept(Prior(), seen=True) == (0, 0)


def test_where_there_is_nothing_new_a_draw_is_repeated() -> None:
    of: dict[str, BaseDistribution] = {"x": IntDistribution(0, 1)}
    study = optuna.create_study(direction="maximize")
    for x in (0, 1):
        study.add_trial(create_trial(params={"x": x}, distributions=of, value=float(x)))
    for seed in range(20):
        study.sampler = Around(optuna.samplers.RandomSampler(seed=seed), of, Prior(best=1.0), seed)
        assert study.ask(of).params["x"] in (0, 1)
