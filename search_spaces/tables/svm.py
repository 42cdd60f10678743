"""Support vector machines with a radial kernel."""

from typing import Any

from ray import tune

from search_spaces.space import SearchSpace
from search_spaces.tables.common import estimator_space
from trainables.tasks.task import Task

RANKING = ("roc_auc", "average_precision")
"""Objectives that, with two classes, depend on the ranking of rows by probability only."""


def space(task: Task) -> SearchSpace:
    """Penalty and kernel width, in the range of LIBSVM's guide (Hsu, Chang and Lin, 2003).

    Kernel widths are those of the guide's grid, and scikit-learn's `scale`, which depends on the
    rows. The guide's largest penalties, above 1024, are left out, since fits then take very long.
    A classifier is calibrated if the objective depends on the values of probabilities. The
    regressor's `epsilon` has the range of auto-sklearn (Feurer et al., 2015).
    """
    domains: dict[str, Any] = {
        "C": tune.loguniform(2**-5, 2**10),
        "gamma": tune.choice(["scale", *(2.0**power for power in range(-15, 4, 2))]),
    }
    if task.kind == "regression":
        domains["epsilon"] = tune.loguniform(1e-3, 1.0)
    else:
        domains["probability"] = _needs_probabilities(task)
    return estimator_space("svm", task, domains)


def _needs_probabilities(task: Task) -> bool:
    ranks = task.outputs == 2 and task.objective in RANKING
    return task.metrics[task.objective].needs == "probability" and not ranks
