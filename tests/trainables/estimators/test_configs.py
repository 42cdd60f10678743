"""Configurations of estimators: refused values, and the parameters for scikit-learn."""

import pytest

from foldsweep.errors import UserError
from tests.trainables.estimators.cases import VARIANTS, mixed
from trainables.models.estimators.boosting import HistGradientBoostingConfig
from trainables.models.estimators.catalogue import ESTIMATORS, estimator_variant
from trainables.models.estimators.config import EstimatorConfig
from trainables.models.estimators.forests import ForestConfig, RandomForestClassifierConfig
from trainables.models.estimators.linear import LogisticConfig, RidgeConfig
from trainables.models.estimators.neighbours import KNNConfig
from trainables.models.estimators.svm import SVCConfig, SVRConfig


@pytest.mark.parametrize(
    ("config", "values", "message"),
    [
        (LogisticConfig, {"C": 0.0}, "C must be finite and above 0, but is 0.0"),
        (RidgeConfig, {"alpha": -1.0}, "alpha must be finite and at least 0"),
        (RidgeConfig, {"class_weight": "none"}, "RidgeConfig has no field class_weight"),
        (SVCConfig, {"gamma": -1.0}, "gamma must be finite and above 0"),
        (SVRConfig, {"epsilon": -0.1}, "epsilon must be finite and at least 0"),
        (ForestConfig, {"n_estimators": 0}, "n_estimators must be finite and above 0"),
        (ForestConfig, {"max_features": 1.5}, "max_features must be above 0 and at most 1"),
        (RandomForestClassifierConfig, {"max_samples": 0.0}, "max_samples must be above 0"),
        (HistGradientBoostingConfig, {"max_leaf_nodes": 1}, "max_leaf_nodes must be at least 2"),
        (KNNConfig, {"n_neighbors": 0}, "n_neighbors must be finite and above 0"),
    ],
)
def test_value_out_of_range_is_refused(config, values, message):
    with pytest.raises(UserError, match=message):
        config.from_dict(values)


@pytest.mark.parametrize(("name", "kind"), VARIANTS)
def test_weights_of_classes_are_for_classifications_only(name, kind):
    fields = ESTIMATORS[name][kind][1]().to_dict()

    weighted = kind == "classification" and name != "knn"
    assert ("class_weight" in fields) is weighted


def test_names_become_parameters_of_scikit_learn():
    assert LogisticConfig().parameters == {"C": 1.0, "max_iter": 100, "class_weight": None}
    assert LogisticConfig(class_weight="balanced").parameters["class_weight"] == "balanced"
    assert "probability" not in SVCConfig().parameters


def test_whole_share_is_a_share():
    # scikit-learn reads the integer 1 as one column or one row
    config = RandomForestClassifierConfig()
    for name in ("max_features", "max_samples"):
        object.__setattr__(config, name, 1)  # a file may contain the integer
        assert isinstance(config.parameters[name], float)


def test_epochs_are_units_of_the_resource():
    assert EstimatorConfig().epochs == LogisticConfig().epochs == 1
    assert ForestConfig(n_estimators=7).epochs == 7
    assert HistGradientBoostingConfig(max_iter=8).epochs == 8


@pytest.mark.parametrize(
    ("name", "kind", "there"),
    [
        ("ridge", "classification", "logistic, svm, random_forest"),
        ("logistic", "regression", "ridge, svm, random_forest"),
    ],
)
def test_estimator_of_another_kind_is_refused(name, kind, there):
    with pytest.raises(UserError, match=f"the kind of task test is {kind}: choose {there}"):
        estimator_variant(name, mixed(kind))


def test_variant_is_named_by_task_and_estimator():
    assert estimator_variant("svm", mixed("regression")).full_name == "test/svm"
