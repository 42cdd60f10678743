"""Built-in estimators, by name and kind of task."""

from collections.abc import Callable, Mapping
from typing import Any

from foldsweep.errors import UserError
from trainables.models.estimators import boosting, forests, linear, neighbours, svm
from trainables.models.estimators.config import EstimatorConfig
from trainables.tasks.task import Kind, Task, Variant

ESTIMATORS: Mapping[str, Mapping[Kind, tuple[Callable[..., Any], type[EstimatorConfig]]]] = {
    "logistic": {"classification": (linear.logistic, linear.LogisticConfig)},
    "ridge": {"regression": (linear.ridge, linear.RidgeConfig)},
    "svm": {
        "classification": (svm.svc, svm.SVCConfig),
        "regression": (svm.svr, svm.SVRConfig),
    },
    "random_forest": {
        "classification": (forests.random_forest_classifier, forests.RandomForestClassifierConfig),
        "regression": (forests.random_forest_regressor, forests.RandomForestRegressorConfig),
    },
    "extra_trees": {
        "classification": (forests.extra_trees_classifier, forests.ForestClassifierConfig),
        "regression": (forests.extra_trees_regressor, forests.ForestConfig),
    },
    "hist_gradient_boosting": {
        "classification": (
            boosting.hist_gradient_boosting_classifier,
            boosting.HistGradientBoostingClassifierConfig,
        ),
        "regression": (
            boosting.hist_gradient_boosting_regressor,
            boosting.HistGradientBoostingConfig,
        ),
    },
    "knn": {
        "classification": (neighbours.knn_classifier, neighbours.KNNConfig),
        "regression": (neighbours.knn_regressor, neighbours.KNNConfig),
    },
}


ONE_VALUE = ("svm", "hist_gradient_boosting")
"""Estimators whose regressors predict only one value per row."""


def estimator_variant(name: str, task: Task) -> Variant:
    """Make the variant of a built-in estimator on a task.

    Raises:
        UserError: If the estimator does not support this kind of task, or predicts one value but
            the task has several.
    """
    kinds = ESTIMATORS[name]
    if task.kind not in kinds:
        there = [other for other, of in ESTIMATORS.items() if task.kind in of]
        instead = (
            f"choose {', '.join(there)} or a network, mlp"
            if there
            else "write a variant of your own"
        )
        raise UserError.of(
            "estimator-catalogue.task-kind-unsupported",
            estimator=name,
            supported=" and ".join(kinds),
            task=task.name,
            found=task.kind,
            instead=instead,
        )
    if task.outputs > 1 and task.kind == "regression" and name in ONE_VALUE:
        others = [other for other in ESTIMATORS if other not in (*ONE_VALUE, "logistic")]
        raise UserError.of(
            "estimator-catalogue.one-value-only",
            estimator=name,
            task=task.name,
            outputs=task.outputs,
            others=", ".join(others),
        )
    model, config = kinds[task.kind]
    return Variant(name=name, task=task, model=model, config=config)
