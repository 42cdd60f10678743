import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import get_scorer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.refusals import refused
from trainables.tasks.scores import SCORES, hits, metric, score_names, scorer_name

DATA = {2: load_breast_cancer, 3: load_wine, 0: load_diabetes}


def fitted(num_classes):
    """Fitted pipeline, and the inputs and target of held-out rows."""
    x, y = DATA[num_classes](return_X_y=True)
    x, x_val, y, y_val = train_test_split(x, y, random_state=0)
    estimator = LogisticRegression() if num_classes else Ridge()
    return make_pipeline(StandardScaler(), estimator).fit(x, y), x_val, y_val


@pytest.mark.parametrize(
    ("name", "num_classes"),
    [
        (name, num_classes)
        for name, score in SCORES.items()
        for num_classes in ((2, 3) if score.kind == "classification" else (0,))
        if name in score_names(score.kind, num_classes)
    ],
)
def test_scores_are_those_of_scikit_learns_scorers(name, num_classes):
    model, x, y = fitted(num_classes)
    kind = SCORES[name].kind
    measure = metric(name, kind=kind, num_classes=num_classes)
    scorer = get_scorer(scorer_name(name, num_classes))
    expected = scorer(model, x, y)  # scorers negate errors
    if measure.over == "rows":
        output = torch.from_numpy(model.predict_proba(x))
        found = float(measure.of(output, torch.from_numpy(y)).double().mean())
    else:
        needs = measure.needs
        prediction = model.predict_proba(x) if needs == "probability" else model.predict(x)
        found = measure.of(y, prediction)
    assert found * measure.sign == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", SCORES)
def test_better_is_better(name):
    """A perfect prediction scores at least as well as a poor one."""
    score = SCORES[name]
    target = np.array([0, 1, 1, 0, 1]) if score.kind == "classification" else np.arange(1.0, 6)
    measure = metric(name, kind=score.kind, num_classes=2)
    if measure.over == "rows":
        return
    perfect, poor = target, target[::-1]
    if score.needs == "probability":
        perfect, poor = (np.stack([1 - p, p], 1) * 0.8 + 0.1 for p in (perfect, poor))
    assert measure.of(target, perfect) * measure.sign > measure.of(target, poor) * measure.sign


def test_hits_count_axes_from_the_end():
    output = torch.tensor([[[0.1, 0.9], [0.8, 0.2]], [[0.1, 0.9], [0.2, 0.8]]])
    target = torch.tensor([[1, 1], [1, 1]])
    assert hits(output, target).tolist() == [[1, 0], [1, 1]]
    assert hits(output[0], target[0]).tolist() == [1, 0]


def test_val_is_a_prefix_only():
    given = metric("val_f1", kind="classification", num_classes=2)
    assert given == metric("f1", kind="classification", num_classes=2)


def test_errors_in_units_are_compared_with_the_targets_deviation():
    assert metric("rmse", kind="regression", deviation=77.0).equal == pytest.approx(0.77)
    assert metric("r2", kind="regression", deviation=77.0).equal == 0.01


@pytest.mark.parametrize(
    ("name", "kind", "num_classes", "task"),
    [
        ("roc_auc", "regression", 0, "regression"),
        ("rmse", "classification", 2, "classification of 2 classes"),
        ("f1", "classification", 3, "classification of 3 classes"),
    ],
)
def test_a_metric_of_another_kind_lists_those_there_are(name, kind, num_classes, task):
    known = ", ".join(score_names(kind, num_classes))
    with refused("scores.objective-unknown", objective=name, task=task, known=known):
        metric(name, kind=kind, num_classes=num_classes)


def test_held_out_rows_of_one_class_have_no_roc_auc():
    measure = metric("roc_auc", kind="classification", num_classes=2)
    with refused("scores.class-missing", score="roc_auc", classes=2, present=1):
        measure.of(np.array([1, 1]), np.array([[0.5, 0.5], [0.4, 0.6]]))


def test_log_loss_of_rows_without_a_class():
    measure = metric("log_loss", kind="classification", num_classes=3)
    probability = np.array([[0.5, 0.25, 0.25], [0.25, 0.5, 0.25]])
    assert measure.of(np.array([0, 1]), probability) == pytest.approx(np.log(2))


def test_predictions_that_are_not_finite_have_no_score():
    measure = metric("rmse", kind="regression")
    assert np.isnan(measure.of(np.array([1.0, 2]), np.array([np.nan, 1])))


def test_r2_of_one_row_is_refused():
    measure = metric("r2", kind="regression")
    with refused("scores.score-undefined", score="r2", rows=1):
        measure.of(np.array([1.0]), np.array([1.0]))


def test_float32_probabilities_are_accepted():
    random = np.random.default_rng(0)
    target = random.integers(0, 10, 500)
    probability = torch.from_numpy(random.normal(size=(500, 10))).float().softmax(-1).numpy()
    for name in ("log_loss", "roc_auc"):
        assert np.isfinite(
            metric(name, kind="classification", num_classes=10).of(target, probability)
        )
