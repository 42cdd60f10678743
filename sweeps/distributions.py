"""Conversion of Ray Tune domains to Optuna distributions.

Ray's own converter drops the step of quantised log domains and refuses others without naming the
key. Here every domain is either converted exactly or refused with its key.
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
from ray.tune.search.sample import Categorical, Domain, Float, Integer, Quantized

from foldsweep.checks import brief, is_huge, meant
from foldsweep.choices import encoded, find_choice, is_container
from foldsweep.errors import UserError
from search_spaces.domains import bounds, clean, is_log, step_of
from search_spaces.space import SearchSpace
from sweeps.settings import SweepSettings


def to_distributions(domains: Mapping[str, Domain]) -> dict[str, BaseDistribution]:
    """The Optuna distribution of each domain.

    Raises:
        UserError: If a domain has no exact counterpart.
    """
    return {key: _convert(key, domain) for key, domain in domains.items()}


def distributions_json(distributions: Mapping[str, BaseDistribution]) -> str:
    """JSON of the distributions by parameter, from which other programs can rebuild a study."""
    return json.dumps({k: json.loads(distribution_to_json(d)) for k, d in distributions.items()})


def _convert(key: str, domain: Domain) -> BaseDistribution:
    if isinstance(domain, Categorical):
        return CategoricalDistribution(_choices(key, domain))
    sampler, step, log = domain.get_sampler(), step_of(domain), is_log(domain)
    if isinstance(sampler, Quantized):
        sampler = sampler.get_sampler()
    uniform = type(sampler).__name__ in ("_Uniform", "_LogUniform")
    if not (uniform and isinstance(domain, Integer | Float)):
        raise UserError.of("distributions.domain-unsupported", key=key, domain=_shown(domain))
    if any(is_huge(end) or not math.isfinite(end) for end in (domain.lower, domain.upper)):
        ends = f"{brief(domain.lower)} to {brief(domain.upper)}"
        raise UserError.of("distributions.bounds-not-finite", key=key, ends=ends)
    if log and (step not in (None, 1) or (step and isinstance(domain, Float))):
        raise UserError.of("distributions.log-with-steps", key=key, step=step)
    low, high = bounds(domain)
    if not low <= high:
        raise UserError.of(
            "distributions.empty-range", key=key, low=domain.lower, high=domain.upper
        )
    if isinstance(domain, Integer):
        return IntDistribution(low, high, log=log, step=int(step or 1))
    return FloatDistribution(low, high, log=log, step=step)


def _choices(key: str, domain: Categorical) -> list[Any]:
    """Choices as a study stores them; lists and dicts are encoded as text."""
    choices = [plain(value) for value in domain.categories]
    for value in choices:
        if not _is_kept(value):
            raise UserError.of("distributions.choice-unsupported", key=key, value=brief(value))
    if not choices:
        raise UserError.of("distributions.no-choices", key=key)
    texts = [encoded(value) for value in choices]
    for value, text in zip(choices, texts, strict=True):
        if is_container(value) and texts.count(text) > 1:
            raise UserError.of("distributions.choice-twice", key=key, value=brief(value))
    return texts


def plain(value: Any) -> Any:
    """A choice with NumPy numbers converted to Python numbers, also inside lists and dicts."""
    value = meant(value, Any)
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return type(value)(map(plain, value)) if type(value) in (list, tuple) else value


def _is_kept(value: Any) -> bool:
    """Whether a choice is unchanged by a round trip through JSON, except for tuples."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_kept(inner) for key, inner in value.items())
    if isinstance(value, list | tuple):
        return all(map(_is_kept, value))
    return isinstance(value, str | int | float | bool | None)


def _shown(domain: Domain) -> str:
    return f"{type(domain).__name__}.{type(domain.get_sampler()).__name__.strip('_')}"


def nearest(distribution: BaseDistribution, value: Any) -> Any:
    """The value of `distribution` closest to `value`; None if there is none."""
    if isinstance(distribution, CategoricalDistribution):
        try:
            return find_choice(distribution.choices, value)
        except ValueError:
            return None
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    clipped = min(max(value, distribution.low), distribution.high)
    if distribution.step is not None and not (
        isinstance(distribution, FloatDistribution) and distribution.log
    ):
        steps = round((clipped - distribution.low) / distribution.step)
        clipped = clean(distribution.low + steps * distribution.step)
    return int(clipped) if isinstance(distribution, IntDistribution) else float(clipped)


def distributions_of(space: SearchSpace, settings: SweepSettings) -> dict[str, BaseDistribution]:
    """Distributions of the parameters that the study chooses.

    Raises:
        UserError: If the sampler is `grid`, and the space has no grid or its grid omits a key.
    """
    if settings.sampler != "grid":
        return to_distributions(space.searched)
    if not space.grid:
        raise UserError.of("distributions.no-grid", space=space.name)
    free = sorted(set(space.searched) - set(space.grid))
    if free:
        raise UserError.of(
            "distributions.keys-not-in-grid", space=space.name, keys=", ".join(free)
        )
    keys = space.tree.in_order([*space.grid])
    return to_distributions({key: Categorical(space.grid[key]) for key in keys})
