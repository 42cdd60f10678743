"""Common part of the spaces of estimators."""

from collections.abc import Mapping
from typing import Any

from ray import tune
from ray.tune.search.sample import Domain

from search_spaces.space import Point, SearchSpace
from trainables.models.estimators.catalogue import estimator_variant
from trainables.tasks.task import Task

BASELINE = "scikit-learn default"
"""Name of the first point, in which all searched parameters have scikit-learn's defaults."""


def estimator_space(name: str, task: Task, domains: Mapping[str, Any]) -> SearchSpace:
    """Make the space of an estimator that ships, with scikit-learn's defaults as the baseline.

    `class_weight` is searched if the estimator supports it.

    Raises:
        UserError: If the estimator does not support this kind of task.
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
