import math
import random
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import RandomSampler
from optuna.study import create_study
from ray import tune
from ray.tune.search.sample import Domain

from sweeps.distributions import nearest, to_distributions
from tests.refusals import refused


def converted(domain: Domain) -> BaseDistribution:
    return to_distributions({"key": domain})["key"]


def from_tune(domain: Domain, size: int) -> list[Any]:
    return list(np.atleast_1d(np.asarray(domain.sample(size=size, random_state=0), dtype=object)))


def from_optuna(distribution: BaseDistribution, size: int) -> list[Any]:
    study = create_study(sampler=RandomSampler(seed=0))
    trial = study.ask()
    draw = study.sampler.sample_independent
    frozen = study.get_trials()[trial.number]
    return [draw(study, frozen, "key", distribution) for _ in range(size)]


integers = st.one_of(
    st.tuples(st.integers(-20, 20), st.integers(1, 12)).map(
        lambda t: tune.randint(t[0], t[0] + t[1])
    ),
    st.tuples(st.integers(1, 20), st.integers(1, 12)).map(
        lambda t: tune.lograndint(t[0], t[0] + t[1])
    ),
    st.tuples(st.integers(-20, 20), st.integers(1, 30), st.integers(1, 9)).map(
        lambda t: tune.qrandint(t[0], t[0] + t[1], t[2])
    ),
    st.tuples(st.integers(1, 20), st.integers(1, 12)).map(
        lambda t: tune.qlograndint(t[0], t[0] + t[1], 1)
    ),
    st.lists(st.integers(-9, 9), min_size=1, max_size=6, unique=True).map(tune.choice),
)


@given(integers)
def test_integer_domains_reach_the_same_values_in_both_libraries(domain: Domain) -> None:
    try:
        drawn = set(from_tune(domain, 400))
    except ValueError:
        with refused("distributions.empty-range", key="key"):
            converted(domain)
        return
    assert set(from_optuna(converted(domain), 400)) == drawn


@given(
    st.integers(-8, 8), st.integers(1, 12), st.sampled_from([0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 0.3])
)
def test_steps_reach_the_same_values_in_both_libraries(low: int, steps: int, step: float) -> None:
    domain = tune.quniform(round(low * step, 6), round((low + steps) * step, 6), step)
    drawn = {round(value, 6) for value in from_tune(domain, 600)}
    assert {round(value, 6) for value in from_optuna(converted(domain), 600)} == drawn


@pytest.mark.parametrize(
    ("domain", "distribution"),
    [
        (tune.uniform(0.0, 1.5), FloatDistribution(0.0, 1.5)),
        (tune.loguniform(1e-4, 1e-1), FloatDistribution(1e-4, 1e-1, log=True)),
        (tune.quniform(0.0, 1.0, 0.25), FloatDistribution(0.0, 1.0, step=0.25)),
        (tune.randint(0, 5), IntDistribution(0, 4)),
        (tune.lograndint(8, 65), IntDistribution(8, 64, log=True)),
        (tune.qrandint(16, 64, 8), IntDistribution(16, 64, step=8)),
        (tune.qrandint(3, 21, 4), IntDistribution(4, 20, step=4)),
        (tune.qrandint(3, 21), IntDistribution(3, 20)),
        (tune.qlograndint(8, 64, 1), IntDistribution(8, 63, log=True)),
        (
            tune.choice(["a", 1, 2.5, True, None]),
            CategoricalDistribution(["a", 1, 2.5, True, None]),
        ),
    ],
    ids=lambda value: re.sub(r" object.*", "", str(value)),
)
def test_a_domain_becomes_its_distribution(domain: Domain, distribution: BaseDistribution) -> None:
    assert converted(domain) == distribution
    drawn = from_tune(domain, 100)
    assert all(distribution._contains(distribution.to_internal_repr(v)) for v in drawn)


@pytest.mark.parametrize(
    ("domain", "kind", "values"),
    [
        (tune.qloguniform(1.0, 100.0, 1.0), "log-with-steps", {"step": 1}),
        (tune.qloguniform(1e-3, 1.0, 1e-3), "log-with-steps", {"step": 0.001}),
        (tune.qlograndint(8, 64, 8), "log-with-steps", {"step": 8}),
        (tune.randn(), "domain-unsupported", {"domain": "Float.Normal"}),
        (tune.qrandn(0.0, 1.0, 0.1), "domain-unsupported", {}),
        (
            tune.sample_from(lambda spec: 1),
            "domain-unsupported",
            {"domain": "Function.CallSampler"},
        ),
        (tune.choice([{"a": 1}, {2: 1}]), "choice-unsupported", {"value": "{2: 1}"}),
        (tune.choice([(1, 3j)]), "choice-unsupported", {"value": "(1, 3j)"}),
        (tune.choice([(1, object())]), "choice-unsupported", {}),
        (tune.choice([(8, 16), [8, 16]]), "choice-twice", {"value": "(8, 16)"}),
        (tune.choice([(8, 16), "[8, 16]"]), "choice-twice", {"value": "(8, 16)"}),
        (tune.choice([tune.uniform(0.0, 1.0)]), "choice-unsupported", {}),
        (tune.choice([]), "no-choices", {}),
        (tune.uniform(1.0, 0.0), "empty-range", {"low": 1.0, "high": 0.0}),
        (tune.randint(5, 5), "empty-range", {"low": 5, "high": 5}),
        (tune.qrandint(5, 7, 4), "empty-range", {"low": 5, "high": 7}),
    ],
)
def test_what_cannot_be_converted_is_refused_by_name(
    domain: Domain, kind: str, values: dict[str, object]
) -> None:
    with refused(f"distributions.{kind}", key="width", **values) as caught:
        to_distributions({"lr": tune.uniform(0.0, 1.0), "width": domain})
    assert " at 0x" not in str(caught.value) or "choice" in str(caught.value)


distributions = st.one_of(
    st.tuples(st.integers(-50, 50), st.integers(0, 50), st.integers(1, 9)).map(
        lambda t: IntDistribution(t[0], t[0] + t[1] * t[2], step=t[2])
    ),
    st.tuples(st.integers(1, 50), st.integers(0, 50)).map(
        lambda t: IntDistribution(t[0], t[0] + t[1], log=True)
    ),
    st.tuples(st.floats(-10, 10), st.floats(0, 10)).map(
        lambda t: FloatDistribution(t[0], t[0] + t[1])
    ),
    st.tuples(st.floats(1e-6, 10), st.floats(0, 10)).map(
        lambda t: FloatDistribution(t[0], t[0] + t[1], log=True)
    ),
    st.tuples(st.integers(-9, 9), st.integers(1, 20), st.sampled_from([0.1, 0.25, 0.3])).map(
        lambda t: converted(tune.quniform(t[0] * t[2], (t[0] + t[1]) * t[2], t[2]))
    ),
    st.lists(st.integers(-9, 9) | st.text(max_size=2), min_size=1, unique=True).map(
        CategoricalDistribution
    ),
)


@given(distributions, st.integers(-200, 200) | st.floats(-200, 200) | st.text(max_size=2))
def test_the_nearest_value_is_inside_and_stays_where_it_is(
    distribution: BaseDistribution, value: Any
) -> None:
    found = nearest(distribution, value)
    assume(found is not None)
    assert distribution._contains(distribution.to_internal_repr(found))
    assert nearest(distribution, found) == found


@given(distributions.filter(lambda d: not isinstance(d, CategoricalDistribution)), st.data())
def test_no_value_is_nearer_than_the_nearest(distribution: Any, data: st.DataObject) -> None:
    value = data.draw(st.floats(-200, 200))
    found = nearest(distribution, value)
    for other in from_optuna(distribution, 20):
        assert abs(found - value) <= abs(other - value) + 1e-9


def test_a_value_inside_is_its_own_nearest() -> None:
    rng = random.Random(0)
    for _ in range(50):
        value = rng.uniform(0.1, 2.0)
        assert nearest(FloatDistribution(0.1, 2.0), value) == value


@pytest.mark.parametrize("value", ["3", None, True, (1, 2)])
def test_what_is_no_number_has_no_nearest(value: Any) -> None:
    assert nearest(IntDistribution(0, 9), value) is None


def test_bounds_are_the_nearest_of_infinity() -> None:
    assert nearest(FloatDistribution(0.5, 2.0), math.inf) == 2.0
    assert nearest(IntDistribution(3, 9), -math.inf) == 3
