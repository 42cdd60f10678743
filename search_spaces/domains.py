"""Bounds, steps and scales of `ray.tune` domains; only this module knows Tune's conventions."""

import math
from typing import Any

from ray.tune.search.sample import Categorical, Domain, Float, Integer, LogUniform, Quantized

_ROUNDING = 1e-9


def step_of(domain: Domain) -> float | None:
    """Return the step of a quantised domain; None for any other."""
    sampler = domain.get_sampler()
    return sampler.q if isinstance(sampler, Quantized) else None


def is_log(domain: Domain) -> bool:
    """Whether a domain is sampled on a log scale."""
    sampler = domain.get_sampler()
    if isinstance(sampler, Quantized):
        sampler = sampler.get_sampler()
    return isinstance(sampler, LogUniform)


def bounds(domain: Integer | Float) -> tuple[Any, Any]:
    """Return the lowest and the highest value that can be drawn from a domain, both inclusive.

    Tune excludes the upper bound of integers, except with a step: then it draws the multiples of
    the step between the bounds.

    >>> from ray import tune
    >>> bounds(tune.randint(1, 5)), bounds(tune.qrandint(3, 21, 4)), bounds(tune.uniform(0, 1))
    ((1, 4), (4, 20), (0, 1))
    """
    low, high, step = domain.lower, domain.upper, step_of(domain)
    if step is not None:
        low = clean(math.ceil(low / step - _ROUNDING) * step)
        high = clean(math.floor(high / step + _ROUNDING) * step)
    if isinstance(domain, Integer):
        return int(low), int(high) - (step in (None, 1))
    return low, high


def clean(value: float) -> float:
    """Remove floating-point rounding errors: 0.3, not 0.30000000000000004."""
    return float(f"{value:.12g}")


def largest(domain: Any) -> Any:
    """Return the largest value that can be drawn from a domain; a plain value itself."""
    if isinstance(domain, Categorical):
        return max(domain.categories)
    return bounds(domain)[1] if isinstance(domain, Integer | Float) else domain


def shown_domain(domain: Domain) -> str:
    """Describe a domain in words, with both bounds inclusive.

    >>> from ray import tune
    >>> shown_domain(tune.lograndint(8, 65)), shown_domain(tune.choice(["a", None]))
    ('8 to 64 (whole, log)', 'a, None')
    """
    if isinstance(domain, Categorical):
        return ", ".join(map(str, domain.categories))
    if not isinstance(domain, Integer | Float):
        return type(domain).__name__
    (low, high), step = bounds(domain), step_of(domain)
    kind = ["whole"] * isinstance(domain, Integer) + ["log"] * is_log(domain)
    if step not in (None, 1):
        kind.append(f"steps of {step:g}")
    return f"{low:g} to {high:g}" + (f" ({', '.join(kind)})" if kind else "")
