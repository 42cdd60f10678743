"""Scores equal scikit-learn's own cross-validation, to the last bit."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from tests.trainables.estimators.cases import (
    VARIANTS,
    folds_of,
    mixed,
    plain,
    stack_of,
    variant_of,
)
from trainables.models.estimators.columns import columns_of
from trainables.stack.estimators import EstimatorStack, random_state_of, seeded
from trainables.tasks.kinds import classification, regression
from trainables.tasks.samples import Data
from trainables.tasks.scores import score_names, scorer_name

PLAIN = {
    ("logistic", "classification"): lambda: make_pipeline(StandardScaler(), LogisticRegression()),
    ("ridge", "regression"): lambda: make_pipeline(StandardScaler(), Ridge()),
    ("svm", "classification"): lambda: make_pipeline(StandardScaler(), SVC()),
    ("random_forest", "classification"): lambda: RandomForestClassifier(18),
    ("random_forest", "regression"): lambda: RandomForestRegressor(18),
    ("extra_trees", "classification"): lambda: ExtraTreesClassifier(18),
    ("extra_trees", "regression"): lambda: ExtraTreesRegressor(18),
    ("hist_gradient_boosting", "classification"): (
        lambda: HistGradientBoostingClassifier(max_iter=18)
    ),
    ("hist_gradient_boosting", "regression"): lambda: HistGradientBoostingRegressor(max_iter=18),
    ("knn", "classification"): lambda: make_pipeline(StandardScaler(), KNeighborsClassifier()),
    ("knn", "regression"): lambda: make_pipeline(StandardScaler(), KNeighborsRegressor()),
}
"""Pipelines that a user of scikit-learn would write, with default parameters."""


def reference(stack: EstimatorStack, make, scoring: str) -> list[float]:
    """Result of `cross_val_score` for each fold, with the fold's `random_state`."""
    x, y = columns_of(stack.task.data.train), stack.task.data.train.targets["target"]
    scores = []
    with threadpool_limits(1):
        for member, fold in zip(stack.members, folds_of(stack.task), strict=True):
            model = seeded(make(), member.seed)
            scores += cross_val_score(model, x, y, cv=[fold], scoring=scoring).tolist()
    return scores


@pytest.mark.parametrize("table", [plain, mixed])
@pytest.mark.parametrize(("name", "kind"), VARIANTS)
def test_scores_equal_cross_val_score(name, kind, table):
    stack = stack_of(variant_of(name, table(kind)))
    stack.advance(stack.epochs)
    held_out, _ = stack.measure()

    def make():
        return clone(stack.make_model(stack.members[0].config, stack.shapes))

    scorings = ("accuracy", "roc_auc") if kind == "classification" else ("r2",)
    for scoring in scorings:
        assert held_out[scoring] == reference(stack, make, scoring), scoring


@pytest.mark.parametrize(("name", "kind"), PLAIN)
def test_defaults_are_those_of_scikit_learn(name, kind):
    stack = stack_of(variant_of(name, plain(kind)))
    stack.advance(stack.epochs)
    held_out, _ = stack.measure()

    scoring = "roc_auc" if kind == "classification" else "r2"
    assert held_out[scoring] == reference(stack, PLAIN[name, kind], scoring)


@pytest.mark.parametrize("name", ["logistic", "svm", "knn", "ridge"])
def test_every_score_equals_its_scorer(name):
    kind = "regression" if name == "ridge" else "classification"
    calibrated = {"probability": True} if name == "svm" else {}  # scorers need `predict_proba`
    samples = plain(kind).data.train
    x, y = samples.inputs["numeric"], samples.targets["target"]
    of = regression if kind == "regression" else classification
    names = score_names(kind, 2)
    task = of("test", Data.of(x, y, name="test", holdout=0.0), metrics=names)
    stack = stack_of(variant_of(name, task), **calibrated)
    stack.advance(1)
    held_out, _ = stack.measure()

    for short in names:
        scorer = scorer_name(short, 2)
        sign = -1 if task.metrics[short].better == "lower" else 1

        def make():
            return clone(stack.make_model(stack.members[0].config, stack.shapes))

        expected = np.multiply(sign, reference(stack, make, scorer)).tolist()
        assert held_out[short] == expected, short


def test_random_state_is_of_the_range_of_scikit_learn():
    states = [random_state_of(seed) for seed in (0, 1, 2**63 - 1)]

    assert len(set(states)) == 3
    assert all(0 <= state < 2**32 for state in states)


def test_random_state_is_set_wherever_it_is_named():
    model = seeded(make_pipeline(StandardScaler(), RandomForestClassifier()), 7)

    assert model.get_params()["randomforestclassifier__random_state"] == random_state_of(7)
    assert np.isscalar(random_state_of(7))
