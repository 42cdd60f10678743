"""Configurations of estimators: refused values, and the parameters for scikit-learn."""

import pytest

from tests.refusals import refused, text
from tests.trainables.estimators.cases import VARIANTS, mixed
from trainables.models.estimators.boosting import HistGradientBoostingConfig
from trainables.models.estimators.catalogue import ESTIMATORS, estimator_variant
from trainables.models.estimators.config import EstimatorConfig
from trainables.models.estimators.forests import ForestConfig, RandomForestClassifierConfig
from trainables.models.estimators.linear import LogisticConfig, RidgeConfig
from trainables.models.estimators.neighbours import KNNConfig
from trainables.models.estimators.svm import SVCConfig, SVRConfig


@pytest.mark.parametrize(
    ("config", "field", "value", "rule"),
    [
        (LogisticConfig, "C", 0.0, text("rules.positive")),
        (RidgeConfig, "alpha", -1.0, text("rules.amount")),
        (SVCConfig, "gamma", -1.0, text("rules.positive")),
        (SVRConfig, "epsilon", -0.1, text("rules.amount")),
        (ForestConfig, "n_estimators", 0, text("rules.positive")),
        (ForestConfig, "max_features", 1.5, text("rules.share")),
        (RandomForestClassifierConfig, "max_samples", 0.0, text("rules.share")),
        (HistGradientBoostingConfig, "max_leaf_nodes", 1, text("boosting.leaves")),
        (KNNConfig, "n_neighbors", 0, text("rules.positive")),
    ],
)
def test_value_out_of_range_is_refused(config, field, value, rule):
    with refused("config.value-refused", field=field, rule=rule, value=str(value)):
        config.from_dict({field: value})


def test_regressions_have_no_weights_of_classes():
    with refused("config.field-unknown", config="RidgeConfig", unknown="class_weight"):
        RidgeConfig.from_dict({"class_weight": "none"})


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
    with refused(
        "estimator-catalogue.task-kind-unsupported", estimator=name, task="test", found=kind
    ) as caught:
        estimator_variant(name, mixed(kind))
    assert str(caught.value.values["instead"]).startswith(f"choose {there}")


def test_variant_is_named_by_task_and_estimator():
    assert estimator_variant("svm", mixed("regression")).full_name == "test/svm"
