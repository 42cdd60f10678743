"""Surrogates of recorded sweeps: Gaussian processes that predict the score of a configuration."""

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution
from ray import tune
from ray.tune.search.sample import Domain
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from policy_tools.curves import Recording
from sampler_tools.around import unit, value_at
from sampler_tools.problems import Problem, Values
from sweeps.distributions import to_distributions

MANY = 20_000
"""Number of random configurations, of which the best one counts as the optimum."""
WORST = 10
"""Percentile at which scores are clipped from below, so that failures do not dominate the fit."""
SAME = 0.999
"""Absolute correlation above which a parameter is dropped as a function of another."""


def surrogate(recording: Recording) -> tuple[Problem, float]:
    """Fit a Gaussian process to the final scores of a recorded sweep.

    Returns:
        The problem, and the R² of leave-one-out predictions of the final scores.
    """
    sampled = recording.sampled
    domains = searched([curve.values for curve in sampled])
    distributions = to_distributions(domains)
    scores = np.array([recording.means(curve)[-1] for curve in sampled])
    scores = np.maximum(scores, np.percentile(scores, WORST))
    x = np.array([_units(distributions, curve.values) for curve in sampled])
    kernel = ConstantKernel() * Matern(np.ones(x.shape[1]), (0.1, 30.0), nu=2.5)
    kernel += WhiteKernel(0.1, (1e-3, 1.0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # from irrelevant parameters
        model = GaussianProcessRegressor(kernel, normalize_y=True, random_state=0).fit(x, scores)
    inverse = np.linalg.inv(model.kernel_(x))
    left_out = model.alpha_ / np.diag(inverse)
    spread = float(np.std(scores))
    many = np.random.default_rng(0).random((MANY, len(domains)))
    known = [_values(distributions, row) for row in many]
    predicted = model.predict(np.array([_units(distributions, values) for values in known]))
    order = np.argsort(-predicted)
    smooth, weights, middle = model.kernel_.k1, model.alpha_, float(np.mean(scores))

    def score(values: Values) -> float:
        at = np.array([_units(distributions, values)])
        return middle + spread * float((smooth(at, x) @ weights)[0])

    problem = Problem(
        name=recording.name,
        domains=domains,
        score=score,
        ranked=lambda share: known[order[int(share * (MANY - 1))]],
        best=float(predicted.max()),
        median=float(np.median(predicted)),
        noise=spread * float(np.sqrt(model.kernel_.k2.noise_level)),
    )
    return problem, 1 - float(np.mean(left_out**2))


def searched(values: Sequence[Mapping[str, Any]]) -> dict[str, Domain]:
    """Infer the search space of random configurations from their values."""
    found: dict[str, Domain] = {}
    columns: list[np.ndarray] = []
    for name in values[0]:
        drawn = [of[name] for of in values]
        if any(isinstance(v, bool | str) for v in drawn):
            choices = sorted(set(drawn), key=str)
            if len(choices) > 1:
                found[name] = tune.choice(choices)
            continue
        column = np.array(drawn, dtype=float)
        if any(abs(np.corrcoef(column, other)[0, 1]) > SAME for other in columns):
            continue
        columns.append(column)
        low, high = min(drawn), max(drawn)
        places = [(column.mean() - low) / (high - low), 0.0]
        if low > 0:
            places[1] = (np.log(column).mean() - math.log(low)) / math.log(high / low)
        log = abs(places[1] - 0.5) < abs(places[0] - 0.5)
        if all(isinstance(v, int) for v in drawn):
            found[name] = (tune.lograndint if log else tune.randint)(low, high + 1)
        else:
            found[name] = (tune.loguniform if log else tune.uniform)(low, high)
    return found


def _units(distributions: Mapping[str, BaseDistribution], values: Values) -> list[float]:
    return [
        of.choices.index(values[name]) / (len(of.choices) - 1)
        if isinstance(of, CategoricalDistribution)
        else unit(of, values[name])  # type: ignore[arg-type]
        for name, of in distributions.items()
    ]


def _values(distributions: Mapping[str, BaseDistribution], units: Sequence[float]) -> Values:
    return {
        name: of.choices[min(int(u * len(of.choices)), len(of.choices) - 1)]
        if isinstance(of, CategoricalDistribution)
        else value_at(of, float(u))  # type: ignore[arg-type]
        for (name, of), u in zip(distributions.items(), units, strict=True)
    }
