"""The stack of estimators: reports before the end, resuming, predictions, metrics, warnings."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import Perceptron, RidgeClassifier
from sklearn.metrics import accuracy_score, log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

from tests.refusals import refused
from tests.trainables.estimators.cases import (
    RESUMED,
    VARIANTS,
    mixed,
    plain,
    same,
    stack_of,
    task_of,
    variant_of,
)
from trainables.models.estimators.config import EstimatorConfig
from trainables.stack.estimators import EstimatorStack
from trainables.stack.stack import Member
from trainables.tasks.metrics import Metric
from trainables.tasks.samples import Samples
from trainables.tasks.task import Shapes, Task, Variant

RNG = np.random.default_rng(3)


def own(model, *, task: Task | None = None, config=EstimatorConfig) -> EstimatorStack:
    """Stack of a user-defined estimator."""
    task = task or plain("classification")
    return stack_of(
        Variant(name="own", task=task, model=lambda config, shapes: model(), config=config)
    )


def classes_of(targets: np.ndarray, outputs: int) -> Task:
    x = RNG.normal(size=(len(targets), 3)) + targets[:, None]
    samples = Samples(inputs={"numeric": x}, targets={"target": targets})
    metrics = {"accuracy": plain("classification").metrics["accuracy"]}
    task = task_of("classification", samples, outputs=outputs)
    return replace(task, metrics=metrics, objective="accuracy")


@pytest.mark.parametrize("table", [plain, mixed])
@pytest.mark.parametrize(("name", "kind"), RESUMED)
def test_report_equals_a_fresh_fit_of_so_many_units(name, kind, table):
    variant = variant_of(name, table(kind))
    weighted = kind == "classification" and table is mixed  # binning with weights takes seconds
    weight = {"class_weight": "balanced"} if weighted else {}
    stack = stack_of(variant, max_features=0.5, **weight)
    for units in (2, 6, 18):
        stack.advance(units)
        fresh = stack_of(variant, **{variant.config.RESOURCE: units}, max_features=0.5, **weight)
        fresh.advance(units)
        assert stack.epoch == fresh.epoch == fresh.epochs == units
        assert same(stack.predictions(), fresh.predictions())
        assert stack.measure() == fresh.measure()
    assert str(stack.models[0]) == str(fresh.models[0])
    assert stack.warnings == []


@pytest.mark.parametrize(("name", "kind"), [v for v in VARIANTS if v not in RESUMED])
def test_other_estimators_are_one_fit(name, kind):
    stack = stack_of(variant_of(name, mixed(kind)))

    stack.advance(100)
    assert stack.epoch == stack.epochs == 1


@pytest.mark.parametrize("units", [2, 18])
@pytest.mark.parametrize(("name", "kind"), RESUMED)
def test_interrupted_stack_resumes_as_if_it_had_not_been(name, kind, units):
    variant = variant_of(name, mixed(kind))
    stack, resumed = stack_of(variant), stack_of(variant)
    stack.advance(units)
    state = stack.state_dict()
    assert state == {"epoch": units}

    resumed.load_state_dict(state)
    assert resumed.epoch == units
    assert same(resumed.predictions(), stack.predictions())
    stack.advance(18)
    resumed.advance(18)
    assert same(resumed.predictions(), stack.predictions())


def test_stack_goes_back_to_an_earlier_state():
    variant = variant_of("random_forest", mixed("regression"))
    stack, fresh = stack_of(variant), stack_of(variant)
    stack.advance(18)

    stack.load_state_dict({"epoch": 6})
    fresh.advance(6)

    assert same(stack.predictions(), fresh.predictions())


def test_advance_never_goes_back():
    stack = stack_of(variant_of("extra_trees", mixed("regression")))
    stack.advance(6)
    stack.advance(2)

    assert stack.epoch == 6


def test_members_depend_on_their_seed_only():
    variant = variant_of("random_forest", mixed("regression"))
    stack = stack_of(variant)
    stack.advance(18)
    alone = EstimatorStack(
        variant.model,
        stack.members[1:2],
        variant.task.data.train,
        task=variant.task,
        shapes=stack.shapes,
    )
    alone.advance(18)

    assert same(alone.predictions(), stack.predictions()[1:2])
    other = EstimatorStack(
        variant.model,
        [replace(stack.members[1], seed=1)],
        variant.task.data.train,
        task=variant.task,
        shapes=stack.shapes,
    )
    other.advance(18)
    assert not same(other.predictions(), alone.predictions())


def test_members_must_share_the_resource():
    stack = stack_of(variant_of("random_forest", mixed("regression")))
    config = replace(stack.members[1].config, n_estimators=5)
    members = [stack.members[0], replace(stack.members[1], config=config)]

    with pytest.raises(ValueError, match="share the resource"):
        EstimatorStack(
            stack.make_model,
            members,
            stack.task.data.train,
            task=stack.task,
            shapes=stack.shapes,
        )


@pytest.mark.parametrize(("name", "kind"), VARIANTS)
def test_predictions_have_their_shapes(name, kind):
    stack = stack_of(variant_of(name, mixed(kind)))
    stack.advance(stack.epochs)
    rows = np.array([3, 1])

    for member, held_out, other in zip(
        stack.members, stack.predictions(), stack.predictions(rows), strict=True
    ):
        for predicted, count in ((held_out, len(member.held_out)), (other, 2)):
            if kind == "regression":
                assert predicted["value"].shape == (count,)
            else:
                assert predicted["answer"].dtype == np.int64
                assert predicted["probability"].shape == (count, 2)
                assert predicted["probability"].sum(1) == pytest.approx(1)


def test_metrics_are_those_of_the_task_and_the_loss():
    stack = stack_of(variant_of("logistic", mixed("classification")))
    stack.advance(1)
    held_out, train = stack.measure()

    assert held_out.keys() == {"accuracy", "roc_auc", "exact", "loss"}
    assert train.keys() == {"accuracy", "roc_auc", "loss"}
    assert held_out["accuracy"] == held_out["exact"]
    member, predicted = stack.members[0], stack.predictions()[0]
    target = stack.target[member.held_out]
    assert held_out["loss"][0] == log_loss(target, predicted["probability"])
    answers = stack.models[0].predict(stack.columns[member.train])
    assert train["accuracy"][0] == accuracy_score(stack.target[member.train], answers)


def test_loss_of_a_regression_is_a_share_of_the_variance():
    stack = stack_of(variant_of("ridge", plain("regression")))
    stack.advance(1)
    held_out, train = stack.measure()

    assert held_out.keys() == {"mse", "r2", "loss"}
    assert train.keys() == {"r2", "loss"}
    variances = [stack.target[m.train].var() for m in stack.members]
    assert held_out["mse"] == pytest.approx(np.multiply(held_out["loss"], variances))
    assert np.subtract(1, train["loss"]) == pytest.approx(train["r2"])


def test_constant_target_of_a_fold_gives_a_finite_loss():
    samples = Samples(
        inputs={"numeric": RNG.normal(size=(9, 2))}, targets={"target": np.ones((9, 1))}
    )
    task = replace(task_of("regression", samples), objective="mse")
    stack = stack_of(variant_of("ridge", task))
    stack.advance(1)

    assert np.isfinite(stack.measure()[0]["loss"]).all()


def test_metric_that_does_not_apply_is_left_out():
    task = plain("classification")
    nothing = Metric(of=lambda output, target: None, better="higher", equal=0.0)
    task = replace(task, metrics={**task.metrics, "nothing": nothing})
    stack = stack_of(variant_of("logistic", task))
    stack.advance(1)

    assert "nothing" not in stack.measure()[0]


def test_metric_of_rows_gets_logarithms_of_probabilities():
    task = plain("classification")
    of = lambda output, target: output.exp()[:, 1]
    task = replace(task, metrics={**task.metrics, "p": Metric(of=of, better="higher", equal=0.0)})
    stack = stack_of(variant_of("knn", task))
    stack.advance(1)

    expected = [p["probability"][:, 1].mean() for p in stack.predictions()]
    assert stack.measure()[0]["p"] == pytest.approx(expected)


@pytest.mark.parametrize(("outputs", "model"), [(2, RidgeClassifier), (3, Perceptron)])
def test_classifier_without_probabilities_ranks_by_its_decision_function(outputs, model):
    task = classes_of(np.arange(60) % outputs, outputs)
    stack = own(model, task=task)
    stack.advance(1)
    fitted, predicted = stack.models[0], stack.predictions()[0]
    decision = fitted.decision_function(stack.columns[stack.members[0].held_out])

    score = predicted["probability"]
    if outputs == 2:
        assert (np.argsort(score[:, 1]) == np.argsort(decision)).all()
    assert (score.argmax(1) == predicted["answer"]).all()
    assert score.sum(1) == pytest.approx(1)


def test_class_that_a_fold_lacks_has_probability_0():
    task = classes_of(np.repeat([0, 1, 2], 20), 3)
    stack = stack_of(variant_of("logistic", task))
    rows = np.flatnonzero(task.data.train.targets["target"] != 1)
    members = [replace(stack.members[0], train=rows, held_out=np.arange(60))]
    stack = EstimatorStack(
        stack.make_model, members, task.data.train, task=task, shapes=stack.shapes
    )
    stack.advance(1)

    predicted = stack.predictions()[0]
    assert (predicted["probability"][:, 1] == 0).all()
    assert set(predicted["answer"]) == {0, 2}
    assert np.isfinite(stack.measure()[0]["loss"][0])


class AnswersOnly(DummyClassifier):
    """Classifier that predicts classes, but no probabilities."""

    @property
    def predict_proba(self):
        raise AttributeError("none")


def test_metric_that_needs_probabilities_says_so_where_there_are_none():
    stack = own(AnswersOnly)
    stack.advance(1)

    assert stack.predictions()[0].keys() == {"answer"}
    with refused(
        "estimator-scoring.prediction-missing",
        metric="roc_auc",
        needs="probability",
        given="answer",
    ):
        stack.measure()


def test_loss_is_left_out_where_there_are_no_probabilities():
    stack = own(AnswersOnly, task=classes_of(np.arange(60) % 2, 2))
    stack.advance(1)

    assert stack.measure()[0].keys() == {"accuracy"}


def test_errors_of_an_estimator_are_its_own():
    stack = own(lambda: make_pipeline(StandardScaler(), GradientBoostingClassifier(loss="none")))

    with pytest.raises(ValueError, match="'loss' parameter of GradientBoostingClassifier"):
        stack.advance(1)


def test_warnings_are_collected_in_a_line_each(recwarn):
    stack = stack_of(variant_of("logistic", mixed("classification")), max_iter=1)
    stack.advance(1)

    assert len(recwarn) == 0
    assert len(stack.warnings) == 1
    assert stack.warnings[0].startswith("ConvergenceWarning: lbfgs failed to converge")
    assert stack.warnings[0].endswith("(3x)")


@dataclass(frozen=True, kw_only=True)
class WrongConfig(EstimatorConfig):
    RESOURCE: ClassVar[str | None] = "nu"

    nu: int = 9


def test_resource_that_cannot_be_resumed_is_refused():
    with refused(
        "stack-estimators.resource-unknown",
        config="WrongConfig",
        resource="nu",
        model="OneClassSVM",
    ):
        own(OneClassSVM, config=WrongConfig)


@dataclass(frozen=True, kw_only=True)
class StagesConfig(EstimatorConfig):
    RESOURCE: ClassVar[str | None] = "n_estimators"

    n_estimators: int = 9


def test_own_estimator_with_a_resource_reports_before_its_end():
    model = lambda config, shapes: make_pipeline(
        StandardScaler(), GradientBoostingClassifier(n_estimators=config.n_estimators)
    )
    stack = stack_of(Variant(name="own", task=mixed_numbers(), model=model, config=StagesConfig))
    for units in (1, 3, 9):
        stack.advance(units)
        assert len(stack.models[0][-1].estimators_) == units


def mixed_numbers() -> Task:
    return classes_of(np.arange(60) % 2, 2)


def test_member_is_what_fold_stacks_take():
    assert {"config", "train", "held_out", "seed"} <= set(Member.__dataclass_fields__)


def test_several_values_are_predicted_at_once():
    x = RNG.normal(size=(60, 3))
    target = np.column_stack([x[:, 0], 9 * x[:, 1]])
    samples = Samples(inputs={"numeric": x}, targets={"target": target})
    task = task_of("regression", samples, outputs=2)
    stack = stack_of(variant_of("ridge", task))
    stack.advance(1)

    assert stack.predictions()[0]["value"].shape == (20, 2)
    assert stack.shapes == Shapes(inputs={"numeric": (3,)}, outputs=2)
    assert np.mean(stack.measure()[0]["loss"]) < 0.1
