"""Ray Tune domains as Optuna distributions.

Ray's own converter drops the step of quantised log domains and refuses others without naming the
key; here every domain is converted exactly or refused by name.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)
from ray.tune.search.sample import Categorical, Domain, Float, Integer, LogUniform, Quantized

from foldsweep.checks import brief, is_huge, meant
from foldsweep.errors import UserError

_ROUNDING = 1e-9


def to_distributions(domains: Mapping[str, Domain]) -> dict[str, BaseDistribution]:
    """The Optuna distribution of each domain.

    Raises:
        UserError: If a domain has no exact counterpart.
    """
    return {key: _convert(key, domain) for key, domain in domains.items()}


def distributions_json(distributions: Mapping[str, BaseDistribution]) -> str:
    """Distributions by parameter, for others to rebuild a study from."""
    return json.dumps({k: json.loads(distribution_to_json(d)) for k, d in distributions.items()})


def _convert(key: str, domain: Domain) -> BaseDistribution:
    if isinstance(domain, Categorical):
        choices = [meant(value, Any) for value in domain.categories]
        for value in choices:
            if not isinstance(value, str | int | float | bool | None):
                raise UserError(
                    f"{key}: choice({brief(value)}, ...) is not possible;"
                    " choose among strings, numbers, booleans and None"
                )
        if not choices:
            raise UserError(f"{key}: choice([]) leaves nothing to choose")
        return CategoricalDistribution(choices)
    sampler = domain.get_sampler()
    step = None
    if isinstance(sampler, Quantized):
        step, sampler = sampler.q, sampler.get_sampler()
    uniform = type(sampler).__name__ in ("_Uniform", "_LogUniform")
    if not (uniform and isinstance(domain, Integer | Float)):
        raise UserError(
            f"{key}: {_shown(domain)} is not possible; use uniform, loguniform, quniform, randint,"
            " lograndint, qrandint or choice"
        )
    if any(is_huge(end) or not math.isfinite(end) for end in (domain.lower, domain.upper)):
        ends = f"{brief(domain.lower)} to {brief(domain.upper)}"
        raise UserError(f"{key}: the ends of a domain must be finite numbers, but are {ends}")
    log = isinstance(sampler, LogUniform)
    if log and (step not in (None, 1) or (step and isinstance(domain, Float))):
        raise UserError(f"{key}: a log scale with steps of {step} is not possible; drop one")
    low, high = domain.lower, domain.upper
    if step is not None:  # Tune's steps are multiples of the step, wherever the bounds are
        low = _clean(math.ceil(low / step - _ROUNDING) * step)
        high = _clean(math.floor(high / step + _ROUNDING) * step)
    if isinstance(domain, Integer) and step in (None, 1):
        high -= 1  # Tune's upper bound is exclusive, except with a step
    if not low <= high:
        raise UserError(f"{key}: no value lies between {domain.lower} and {domain.upper}")
    if isinstance(domain, Integer):
        return IntDistribution(int(low), int(high), log=log, step=int(step or 1))
    return FloatDistribution(low, high, log=log, step=step)


def _clean(value: float) -> float:
    """Without the decimals that arithmetic adds: 0.3, not 0.30000000000000004."""
    return float(f"{value:.12g}")


def _shown(domain: Domain) -> str:
    return f"{type(domain).__name__}.{type(domain.get_sampler()).__name__.strip('_')}"


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
        clipped = _clean(distribution.low + steps * distribution.step)
    return int(clipped) if isinstance(distribution, IntDistribution) else float(clipped)
