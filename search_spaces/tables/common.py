"""What the spaces of estimators share."""

from collections.abc import Mapping
from typing import Any

from ray import tune
from ray.tune.search.sample import Domain

from search_spaces.space import Point, SearchSpace
from trainables.models.estimators.catalogue import estimator_variant
from trainables.tasks.task import Task

BASELINE = "scikit-learn default"
"""Name of the first point: what is searched has scikit-learn's default values."""


def estimator_space(name: str, task: Task, domains: Mapping[str, Any]) -> SearchSpace:
    """Space of an estimator that ships, with scikit-learn's defaults as the baseline.

    Whether rows are weighted by class is searched wherever the estimator can do so.

    Raises:
        UserError: If the estimator is not for tasks of this kind.
    """
    variant = estimator_variant(name, task)
    defaults = variant.config().to_dict()
    weight = {"class_weight": tune.choice(["none", "balanced"])}
    searched = {**domains, **(weight if "class_weight" in defaults else {})}
    baseline = {key: defaults[key] for key, of in searched.items() if isinstance(of, Domain)}
    return SearchSpace(
        name=name,
        variant=variant,
        domains=searched,
        points=[Point(name=BASELINE, config=baseline)],
    )
