"""A sampler with a prior on the initial point: it draws trials near it, and near the best so far.

References:
    Mallik et al. (2023), "PriorBand: practical hyperparameter optimization in the age of deep
    learning", NeurIPS.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState

from sweeps.distributions import nearest

KEPT = 0.5
"""Probability that a number keeps its value."""
WIDTH = 0.2
"""Standard deviation of the change of a number, as a fraction of its range."""
CHANGED = 0.2
"""Probability that a categorical value is drawn again."""
MOST_DRAWS = 20
"""Maximum number of draws until a configuration is new; a small space may have no new one."""


@dataclass(frozen=True, kw_only=True)
class Prior:
    """Probabilities of drawing a trial near another one."""

    initial: float = 0.0
    """Probability of a draw near the first trial, before results are visible."""
    best: float = 0.0
    """Probability of a draw near the best visible trial, once results are visible."""


class Around(optuna.samplers.BaseSampler):
    """A sampler that draws some trials near others, and the rest by an inner sampler.

    Args:
        inner: Sampler of all other trials.
        distributions: The search space.
        prior: Probabilities of draws near other trials.
        seed: Seed of these draws.
    """

    def __init__(
        self,
        inner: optuna.samplers.BaseSampler,
        distributions: Mapping[str, BaseDistribution],
        prior: Prior,
        seed: int,
    ):
        self._inner = inner
        self._distributions = distributions
        self._prior = prior
        self._rng = np.random.default_rng(seed)
        self._centre: Mapping[str, Any] | None = None

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        trials = study.get_trials(deepcopy=False)
        seen = [one for one in trials if one.state == TrialState.COMPLETE]
        best = max(seen, key=lambda one: one.values[0]) if seen else trials[0]
        is_around = self._rng.random() < (self._prior.best if seen else self._prior.initial)
        self._centre = best.params if is_around and trial.number else None
        if self._centre is None:
            return self._inner.infer_relative_search_space(study, trial)
        return dict(self._distributions)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        if self._centre is None:
            return self._inner.sample_relative(study, trial, search_space)
        known = [one.params for one in study.get_trials(deepcopy=False)]
        for _ in range(MOST_DRAWS):
            drawn = near(self._centre, search_space, self._rng)
            if {**self._centre, **drawn} not in known:
                break
        return drawn

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        return self._inner.sample_independent(study, trial, param_name, param_distribution)


def near(
    values: Mapping[str, Any],
    distributions: Mapping[str, BaseDistribution],
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Draw values near given ones, on the scales of their distributions."""
    drawn = {}
    for name, of in distributions.items():
        drawn[name] = values[name]
        if isinstance(of, CategoricalDistribution):
            if rng.random() < CHANGED:
                drawn[name] = of.choices[rng.integers(len(of.choices))]
        elif rng.random() >= KEPT:
            assert isinstance(of, FloatDistribution | IntDistribution)
            place = abs(unit(of, values[name]) + rng.normal(0, WIDTH))
            drawn[name] = value_at(of, max(1 - abs(1 - place), 0.0))  # reflected at both ends
    return drawn


def unit(distribution: FloatDistribution | IntDistribution, value: float) -> float:
    """Return the position of a number in its distribution, from 0 to 1, on its scale."""
    low, high = _ends(distribution)
    return ((math.log(value) if distribution.log else value) - low) / (high - low)


def value_at(distribution: FloatDistribution | IntDistribution, place: float) -> Any:
    """Return the number of a distribution that is nearest to a position from 0 to 1."""
    low, high = _ends(distribution)
    value = low + place * (high - low)
    value = math.exp(value) if distribution.log else value
    return nearest(distribution, value)


def _ends(of: FloatDistribution | IntDistribution) -> tuple[float, float]:
    """Return the ends of a distribution on its scale, half a step outside its extreme values."""
    half = (of.step or 0) / 2
    low, high = of.low - half, of.high + half
    return (math.log(low), math.log(high)) if of.log else (low, high)
