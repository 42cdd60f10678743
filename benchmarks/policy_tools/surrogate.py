"""Surrogates of recorded sweeps: Gaussian processes that say what a configuration comes to."""

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from policy_tools.curves import Recording

MANY = 20_000
"""Random configurations of which the best one counts as the optimum."""
WORST = 10
"""Percentile to which lower scores are raised, so that the model is not about failures."""
SAME = 0.999
"""Correlation from which on a parameter follows from another."""


class Surrogate:
    """Scores at rungs and after the last epoch, for any configuration.

    Attributes:
        space: What was searched.
        noise: Standard deviation of what a trial comes to around what the model says.
        r2: Share of the variance of final scores that is predicted for trials left out.
        optimum: The best final score that the model knows of.

    Args:
        recording: What it is fitted to.
        at: Epochs whose scores it gives, the last one at the end.
    """

    def __init__(self, recording: Recording, at: Sequence[int]):
        sampled = recording.sampled
        self.seconds = float(np.mean([curve.seconds for curve in sampled]))
        self.space = searched([curve.values for curve in sampled])
        means = np.array([recording.means(curve) for curve in sampled])
        scores = means[:, [epoch - 1 for epoch in at]]
        scores = np.maximum(scores, np.percentile(scores, WORST, axis=0))
        self._x = np.array([self.unit(curve.values) for curve in sampled])
        self._models = [_Process(self._x, column) for column in scores.T]
        self.noise, self.r2 = self._models[-1].noise, self._models[-1].r2
        every = np.random.default_rng(0).random((MANY, len(self.space)))
        predicted = self._models[-1].predicted(every)
        self.optimum = float(predicted.max())
        self._by_final = every[np.argsort(-predicted)]

    def unit(self, values: Mapping[str, Any]) -> list[float]:
        """A configuration, with every parameter between 0 and 1."""
        return [_unit(of, values[name]) for name, of in self.space.items()]

    def values(self, unit: Sequence[float]) -> dict[str, Any]:
        """The configuration that `unit` gives for numbers between 0 and 1."""
        given = zip(self.space.items(), unit, strict=True)
        return {name: _value(of, float(u)) for (name, of), u in given}

    def at_quantile(self, share: float) -> dict[str, Any]:
        """A configuration that such a share of all are better than."""
        return self.values(self._by_final[int(share * (MANY - 1))])

    def scores(self, values: Mapping[str, Any]) -> list[float]:
        """Scores at each epoch of `at`, without noise."""
        at = np.array([self.unit(values)])
        return [float(model.predicted(at)[0]) for model in self._models]


class _Process:
    """A Gaussian process with a length for each parameter, and noise."""

    def __init__(self, x: np.ndarray, y: np.ndarray):
        kernel = ConstantKernel() * Matern(np.ones(x.shape[1]), (0.1, 30.0), nu=2.5)
        kernel += WhiteKernel(0.1, (1e-3, 1.0))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # lengths of what matters little
            process = GaussianProcessRegressor(kernel, normalize_y=True, random_state=0).fit(x, y)
        self._x, self._alpha = x, process.alpha_
        self._mean, self._std = float(np.mean(y)), float(np.std(y))
        self._kernel = process.kernel_.k1
        self.noise = self._std * float(np.sqrt(process.kernel_.k2.noise_level))
        inverse = np.linalg.inv(process.kernel_(x))
        left_out = self._alpha / np.diag(inverse)
        self.r2 = 1 - float(np.mean(left_out**2))

    def predicted(self, x: np.ndarray) -> np.ndarray:
        return self._mean + self._std * (self._kernel(x, self._x) @ self._alpha)


def searched(values: Sequence[Mapping[str, Any]]) -> dict[str, BaseDistribution]:
    """What random configurations were drawn from, as far as they show."""
    found: dict[str, BaseDistribution] = {}
    columns: list[np.ndarray] = []
    for name in values[0]:
        drawn = [of[name] for of in values]
        if any(isinstance(v, bool | str | None) or not isinstance(v, int | float) for v in drawn):
            choices = sorted({v for v in drawn if isinstance(v, bool | str)}, key=str)
            if len(choices) > 1:
                found[name] = CategoricalDistribution(choices)
            continue
        column = np.array(drawn, dtype=float)
        if any(abs(np.corrcoef(column, other)[0, 1]) > SAME for other in columns):
            continue
        columns.append(column)
        low, high = min(drawn), max(drawn)
        places = np.array([(column.mean() - low) / (high - low), 0.0])
        if low > 0:
            places[1] = (np.log(column).mean() - math.log(low)) / math.log(high / low)
        log = bool(abs(places[1] - 0.5) < abs(places[0] - 0.5))
        kind = IntDistribution if all(isinstance(v, int) for v in drawn) else FloatDistribution
        found[name] = kind(low, high, log=log)
    return found


def _unit(of: BaseDistribution, value: Any) -> float:
    match of:
        case CategoricalDistribution(choices=choices):
            return choices.index(value) / (len(choices) - 1)
        case (
            IntDistribution(low=low, high=high, log=log)
            | FloatDistribution(low=low, high=high, log=log)
        ):
            scale = math.log if log else float
            return (scale(value) - scale(low)) / (scale(high) - scale(low))
    raise AssertionError(of)


def _value(of: BaseDistribution, unit: float) -> Any:
    unit = min(max(unit, 0.0), 1.0)
    match of:
        case CategoricalDistribution(choices=choices):
            return choices[min(int(unit * len(choices)), len(choices) - 1)]
        case (
            IntDistribution(low=low, high=high, log=log)
            | FloatDistribution(low=low, high=high, log=log)
        ):
            scale, back = (math.log, math.exp) if log else (float, float)
            value = back(scale(low) + unit * (scale(high) - scale(low)))
            return round(value) if isinstance(of, IntDistribution) else min(max(value, low), high)
    raise AssertionError(of)
