"""Spaces of estimators: samples can be fitted, and the first point has scikit-learn's defaults."""

import random
from dataclasses import replace

import numpy as np
import pytest
from ray.tune.search.sample import Domain

from search_spaces.loading import ANY_TASK
from tests.refusals import refused
from tests.trainables.estimators.cases import SMALL, VARIANTS, mixed, plain, stack_of
from trainables.models.estimators.catalogue import ESTIMATORS
from trainables.tasks.metrics import Metric


def sampled(space, number):
    """Random values of a space, as Python types, which a sampler returns."""
    np.random.seed(number)  # noqa: NPY002 (Tune's)
    random.seed(number)
    values = {k: d.sample() if isinstance(d, Domain) else d for k, d in space.domains.items()}
    return {k: v.item() if isinstance(v, np.generic) else v for k, v in values.items()}


def test_every_estimator_has_a_space():
    assert ANY_TASK.keys() - {"mlp", "cnn"} == ESTIMATORS.keys()


@pytest.mark.parametrize(("name", "kind"), VARIANTS)
def test_whatever_is_sampled_is_fitted(name, kind):
    space = ANY_TASK[name](mixed(kind))
    assert space.name == space.variant.name == name

    for number in range(5):
        values = sampled(space, number)
        small = {k: v for k, v in SMALL.items() if k == space.variant.config.RESOURCE}
        stack = stack_of(space.variant, **{**values, **small})
        stack.advance(stack.epochs)
        held_out, _ = stack.measure()
        assert np.isfinite(held_out["loss"]).all()


@pytest.mark.parametrize(("name", "kind"), VARIANTS)
def test_baseline_is_the_default(name, kind):
    space = ANY_TASK[name](plain(kind))
    defaults = space.variant.config().to_dict()

    (point,) = space.points
    assert point.name == "scikit-learn default"
    given = space.complete(point.config).to_dict()
    changed = {key for key in given if given[key] != defaults[key]}
    assert changed <= {"n_estimators", "max_iter"}


@pytest.mark.parametrize(("name", "kind"), VARIANTS)
def test_weights_of_classes_are_searched_where_there_are_any(name, kind):
    space = ANY_TASK[name](plain(kind))

    assert ("class_weight" in space.searched) is (kind == "classification" and name != "knn")


def test_space_of_another_kind_is_refused():
    kind = "estimator-catalogue.task-kind-unsupported"
    with refused(kind, estimator="ridge", supported="regression", task="test"):
        ANY_TASK["ridge"](plain("classification"))


@pytest.mark.parametrize(
    ("objective", "outputs", "calibrated"),
    [
        ("accuracy", 2, False),
        ("roc_auc", 2, False),
        ("roc_auc", 3, True),
        ("log_loss", 2, True),
    ],
)
def test_svm_is_calibrated_where_the_objective_takes_probabilities(objective, outputs, calibrated):
    task = plain("classification")
    loss = Metric(of=max, better="lower", equal=0.01, over="all", needs="probability")
    metrics = {**task.metrics, "log_loss": loss}
    task = replace(task, metrics=metrics, objective=objective, outputs=outputs)

    assert ANY_TASK["svm"](task).fixed["probability"] is calibrated


def test_neighbours_are_never_more_than_a_fold_trains_on():
    space = ANY_TASK["knn"](mixed("regression"))

    assert max(sampled(space, number)["n_neighbors"] for number in range(50)) <= 40
