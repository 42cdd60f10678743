"""Metrics of a kept model equal those of the task, over all rows and over some."""

import numpy as np
import pytest
from sklearn import metrics as reference

from tests.refusals import refused
from tests.trainables.keep.cases import CASES
from trainables.keep.measure import measured
from trainables.tasks.metrics import Metric


def value(name, metric, case_of, model_of, rows=None):
    case = case_of(name)
    samples = case.rows if rows is None else case.rows.take(rows)
    of = case.variant.task.metrics[metric]
    return measured(model_of(name), samples, metric, of).value()


@pytest.mark.parametrize("name", ["larger_digit", "disc", "table classes", "estimator classes"])
def test_accuracy_is_the_share_of_answers_that_are_right(name, case_of, model_of):
    case = case_of(name)
    answer = model_of(name).predict(case.rows.inputs)["answer"]
    hits = answer == case.rows.targets["target"]
    assert value(name, "accuracy", case_of, model_of) == pytest.approx(hits.mean())
    metric = case.variant.task.metrics["accuracy"]
    right = measured(model_of(name), case.rows, "accuracy", metric).right
    np.testing.assert_array_equal(right, hits)


@pytest.mark.parametrize("name", ["table classes", "estimator classes"])
def test_metric_over_all_rows_is_scikit_learn_s(name, case_of, model_of):
    case = case_of(name)
    target = case.rows.targets["target"]
    probability = model_of(name).predict(case.rows.inputs)["probability"]
    wanted = reference.log_loss(target, probability, labels=[0, 1])
    assert value(name, "log_loss", case_of, model_of) == pytest.approx(wanted)


@pytest.mark.parametrize("name", ["table numbers", "estimator numbers", "two inputs"])
def test_error_of_a_regression_is_scikit_learn_s(name, case_of, model_of):
    case = case_of(name)
    values = model_of(name).predict(case.rows.inputs)["value"]
    wanted = reference.mean_absolute_error(case.rows.targets["target"], values)
    assert value(name, "mae", case_of, model_of) == pytest.approx(wanted)


@pytest.mark.parametrize("name", ["disc", "table classes", "estimator numbers"])
def test_metric_of_some_rows_is_that_of_those_alone(name, case_of, model_of):
    case = case_of(name)
    rows = np.array([5, 1, 1, 7, 3, 8])
    for metric, of in case.variant.task.metrics.items():
        whole = measured(model_of(name), case.rows, metric, of)
        assert len(whole) == len(case.rows)
        wanted = value(name, metric, case_of, model_of, rows)
        assert whole.value(rows) == pytest.approx(wanted, rel=1e-5)


def squared(output, target):
    return (
        (output.squeeze(-1) - target) ** 2 if output.ndim > target.ndim else (output - target) ** 2
    )


def likelihood(output, target):
    return output.log_softmax(-1).gather(-1, target.unsqueeze(-1)).squeeze(-1)


def test_row_metric_of_an_estimator_gets_what_a_network_returns(case_of, model_of):
    case, model = case_of("estimator numbers"), model_of("estimator numbers")
    metric = Metric(of=squared, better="lower", equal=1.0)
    errors = model.predict(case.rows.inputs)["value"] - case.rows.targets["target"]
    given = measured(model, case.rows, "squared", metric)
    np.testing.assert_allclose(given.rows, errors**2, rtol=1e-3)
    case, model = case_of("estimator classes"), model_of("estimator classes")
    metric = Metric(of=likelihood, better="higher", equal=0.1)
    given = measured(model, case.rows, "likelihood", metric)
    target = case.rows.targets["target"]
    p = model.predict(case.rows.inputs)["probability"][np.arange(len(target)), target]
    sure = p > 0
    np.testing.assert_allclose(given.rows[sure], np.log(p[sure]), rtol=1e-5, atol=1e-6)
    assert np.isfinite(given.rows).all()


def test_metric_that_does_not_apply_is_refused(case_of, model_of):
    case = case_of("larger_digit")
    metric = case.variant.task.metrics["digit_accuracy"]
    with refused("keep-measure.metric-does-not-apply", metric="digit_accuracy", variant="mlp"):
        measured(model_of("larger_digit"), case.rows, "digit_accuracy", metric)
    case = case_of("estimator classes")
    metric = Metric(of=np.mean, better="lower", equal=0.1, over="all", needs="value")
    given = {"variant": "random_forest", "given": "answer, probability"}
    with refused("keep-measure.prediction-missing", metric="own", needs="value", **given):
        measured(model_of("estimator classes"), case.rows, "own", metric)


def test_every_case_has_an_objective_that_is_measured(case_of, model_of):
    for name in CASES:
        objective = case_of(name).variant.task.objective
        assert np.isfinite(value(name, objective, case_of, model_of))
