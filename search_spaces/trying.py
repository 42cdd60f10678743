"""Check of a new space: each value of its domains must be possible in some configuration."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from ray.tune.search.sample import Categorical, Domain, Float, Integer

from foldsweep.checks import is_huge
from foldsweep.errors import UserError
from search_spaces.domains import bounds, step_of

DRAWS = 300
"""Draws of the other values that must all fail before a value counts as impossible."""
SAMPLES = 6
"""Random values of a domain that are tried besides its ends."""

Complete = Callable[[Mapping[str, Any]], object]


def try_values(
    complete: Complete,
    searched: Mapping[str, Domain],
    grid: Mapping[str, Sequence[Any]],
    ways: Callable[[str], Sequence[Mapping[str, Any]]] = lambda key: [{}],
) -> None:
    """Reject a value that is in no valid configuration.

    A value is rejected if it fails with `DRAWS` random draws of the other values. A value that is
    invalid in some combinations only is accepted; then the trials with such combinations fail.

    Args:
        complete: Makes a configuration from values, or raises a `UserError`.
        searched: Domains by key.
        grid: Values of a grid by key.
        ways: Returns assignments of other keys with which a key is active.

    Raises:
        UserError: If a value is rejected; the message has the key, the value and what is allowed.
    """
    drawable = {key: domain for key, domain in searched.items() if _values(domain)}
    choices = {key: values for key, values in grid.items() if values}
    others = cache(lambda seed: draw(drawable, choices, seed))
    error = _fails(complete, [{}], others)
    if error is not None and str(error).partition(" ")[0] not in {*searched, *grid}:
        raise error  # fails for all draws and names no searched key: a fixed value is invalid
    possible = {key: _values(domain) for key, domain in searched.items()}
    for key, values in [*possible.items(), *grid.items()]:
        for value in values:
            error = _fails(complete, [{**way, key: value} for way in ways(key)], others)
            if error is not None:
                raise UserError.of("trying.value-impossible", key=key, reason=error) from error


def draw(
    searched: Mapping[str, Domain], grid: Mapping[str, Sequence[Any]], seed: int
) -> dict[str, Any]:
    """Draw a value from each domain and each axis of a grid, independently."""
    rng = np.random.RandomState(seed)
    values: dict[str, Any] = {}
    for key, domain in searched.items():
        values[key] = domain.sample(random_state=rng)
    for key, choices in grid.items():
        values[key] = choices[rng.randint(len(choices))]
    return values


def _fails(
    complete: Complete,
    ways: Sequence[Mapping[str, Any]],
    others: Callable[[int], Mapping[str, Any]],
) -> UserError | None:
    """Return the first error if all draws of the other values fail; None once one succeeds.

    The assignments in `ways` take turns.
    """
    first = None
    for seed in range(DRAWS):
        try:
            complete({**others(seed), **ways[seed % len(ways)]})
            return None
        except UserError as error:
            first = first or error
    return first


def _values(domain: Domain) -> list[Any]:
    """Return the ends of a domain and some values between them.

    The list is empty for a domain that the study rejects with a message of its own.
    """
    if isinstance(domain, Categorical):
        return list(domain.categories)
    if not isinstance(domain, Integer | Float):
        return []
    low, high = domain.lower, domain.upper
    if any(is_huge(end) or not math.isfinite(end) for end in (low, high)) or not low < high:
        return []
    try:
        inside = domain.sample(size=SAMPLES, random_state=np.random.RandomState(0))
    except (ValueError, OverflowError):
        return []
    values, steps = list(np.atleast_1d(inside).tolist()), step_of(domain) is not None
    if isinstance(domain, Integer):
        return [*(set(bounds(domain)) if not steps else ()), *values]
    # values close to the ends, since the ends themselves are never drawn
    return values if steps else values + [low + e * (high - low) for e in _NEAR_ENDS]


_NEAR_ENDS = (1e-9, 1 - 1e-9)
