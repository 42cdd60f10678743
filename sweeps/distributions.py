"""Ray Tune domains as Optuna distributions.

Ray's own converter drops the step of quantised log domains and refuses others without naming the
key; here every domain is converted exactly or refused by name.
"""

from collections.abc import Mapping
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from ray.tune.search.sample import Categorical, Domain, Float, Integer, LogUniform, Quantized

from trainables.errors import UserError


def to_distributions(domains: Mapping[str, Domain]) -> dict[str, BaseDistribution]:
    """The Optuna distribution of each domain.

    Raises:
        UserError: If a domain has no exact counterpart.
    """
    return {key: _convert(key, domain) for key, domain in domains.items()}


def _convert(key: str, domain: Domain) -> BaseDistribution:
    if isinstance(domain, Categorical):
        for value in domain.categories:
            if not isinstance(value, str | int | float | bool | None):
                raise UserError(
                    f"{key}: choice({value!r}, ...) is not possible;"
                    " choose among strings, numbers, booleans and None"
                )
        return CategoricalDistribution(list(domain.categories))
    sampler = domain.get_sampler()
    step = None
    if isinstance(sampler, Quantized):
        step, sampler = sampler.q, sampler.get_sampler()
    log = isinstance(sampler, LogUniform)
    if log and step not in (None, 1):
        raise UserError(f"{key}: a log scale with steps of {step} is not possible; drop one")
    if isinstance(domain, Integer):
        # Tune's upper bound is exclusive, except with a step
        upper = domain.upper if step is not None else domain.upper - 1
        return IntDistribution(int(domain.lower), int(upper), log=log, step=int(step or 1))
    if isinstance(domain, Float) and type(sampler).__name__ in ("_Uniform", "_LogUniform"):
        return FloatDistribution(domain.lower, domain.upper, log=log, step=step)
    raise UserError(
        f"{key}: {domain!r} is not possible; use uniform, loguniform, quniform, randint,"
        " lograndint, qrandint or choice"
    )


def nearest(distribution: BaseDistribution, value: Any) -> Any:
    """The value of `distribution` closest to `value`; None where there is no such thing."""
    if isinstance(distribution, CategoricalDistribution):
        return value if value in distribution.choices else None
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    clipped = min(max(value, distribution.low), distribution.high)
    if distribution.step is not None and not (
        isinstance(distribution, FloatDistribution) and distribution.log
    ):
        steps = round((clipped - distribution.low) / distribution.step)
        clipped = distribution.low + steps * distribution.step
    return int(clipped) if isinstance(distribution, IntDistribution) else float(clipped)
