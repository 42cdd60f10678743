"""Kept values of each held-out row of a trained stack: those of the metric, or predictions."""

import io

import numpy as np
import pytest

from tests.trainables.estimators import cases as estimators
from tests.trainables.stack.any_task import MODES, ROWS, slope, stack_of, table, two
from trainables.models.pairs.variants import MLP
from trainables.stack.held_out import NO_FOLD, HeldOut, folds_by_row, held_out
from trainables.tasks.kinds import classification, regression
from trainables.trial import CrossValidation
from trainables.variants import VARIANTS


def kept_of(trial, key):
    trial.advance(99)
    return held_out(trial.stack, trial.context.data.train, trial.variant.task, key)


def by_member(held, stack):
    """Kept values of each member's held-out rows."""
    return [
        np.concatenate([held.values[r, m.held_out[held.fold[r, m.held_out] == i]] for r in (0,)])
        for i, m in enumerate(stack.members)
    ]


# Networks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_accuracy_is_kept_as_it_was_answered(family, mode, small_config, make_context, data):
    trial = CrossValidation(family, small_config(family), make_context(mode=mode), 0)
    held = kept_of(trial, "val_accuracy")
    assert (held.key, held.kind, held.values.dtype) == ("val_accuracy", "metric", np.float32)
    assert held.values.shape == held.fold.shape == (1, len(data.train))
    target = data.train.targets["target"]
    found = by_member(held, trial.stack)
    for member, said, values in zip(
        trial.stack.members, trial.stack.predict(), found, strict=True
    ):
        assert np.array_equal(values, said["answer"] == target[member.held_out])
    assert [values.mean() for values in found] == pytest.approx(trial.by_fold["val_accuracy"])


@pytest.mark.parametrize("mode", MODES)
def test_the_loss_is_kept_row_by_row(family, mode, small_config, make_context):
    config = small_config(family, label_smoothing=0.1)
    trial = CrossValidation(family, config, make_context(mode=mode), 0)
    found = by_member(kept_of(trial, "val_loss"), trial.stack)
    assert all(len(np.unique(values)) > 3 for values in found)
    means = [values.mean(dtype=np.float64) for values in found]
    assert means == pytest.approx(trial.by_fold["val_loss"], rel=1e-6)


def test_networks_without_autograd_keep_metrics_and_no_loss(small_config, make_context):
    variant = VARIANTS["mlp_backprop"]
    trial = CrossValidation(variant, small_config(variant), make_context(variant), 0)
    found = by_member(kept_of(trial, "val_accuracy"), trial.stack)
    assert [v.mean() for v in found] == pytest.approx(trial.by_fold["val_accuracy"])
    assert kept_of(trial, "val_loss") is None


@pytest.mark.parametrize("key", ["num_params", "train_time_s"])
def test_what_has_no_rows_keeps_nothing(key, small_config, make_context):
    assert kept_of(CrossValidation(MLP, small_config(MLP), make_context(), 0), key) is None


def test_a_trial_keeps_what_its_context_asks_for(small_config, make_context):
    trial = CrossValidation(MLP, small_config(MLP), make_context(keep="val_loss"), 0)
    trial.advance(3)
    kept = trial.held_out()
    assert kept is not None
    assert kept.key == "val_loss"
    assert CrossValidation(MLP, small_config(MLP), make_context(), 0).held_out() is None


def test_overlapping_folds_are_repeats_of_their_own():
    case = two()
    stack = stack_of(case)
    stack.train_epoch()
    held = held_out(stack, case.samples, case.task, "val_distance")
    assert held.values.shape == (3, ROWS)
    level = case.samples.targets["level"]
    for i, (member, said) in enumerate(zip(stack.members, stack.predict(), strict=True)):
        expected = np.abs(said["value"] - level[member.held_out].astype(np.float32))
        assert np.array_equal(held.values[i, member.held_out], expected)
        assert np.isnan(np.delete(held.values[i], member.held_out)).all()


@pytest.mark.parametrize("mode", MODES)
def test_a_metric_over_all_rows_of_several_classes_keeps_every_probability(mode):
    case = table()
    task = classification("table", case.task.data, objective="roc_auc")
    stack = stack_of(case, mode=mode)
    stack.train_epoch()
    held = held_out(stack, case.samples, task, "val_roc_auc")
    assert (held.kind, held.values.dtype) == ("log_probability", np.float16)
    assert held.values.shape == (3, ROWS, 3)
    again = held.predictions()
    target = case.samples.targets[task.target]
    for i, (member, said) in enumerate(zip(stack.members, stack.predict(), strict=True)):
        rows = member.held_out
        kept = held.values[i, rows]
        assert np.array_equal(kept, np.log(said["probability"]).astype(np.float16))
        assert again[i, rows].sum(-1) == pytest.approx(1, abs=1e-12)
        whole, half = (
            task.metrics["roc_auc"].of(target[rows], p)
            for p in (
                said["probability"],
                again[i, rows],
            )
        )
        assert half == pytest.approx(whole, abs=0.01)


def test_a_regression_keeps_its_values_in_single_precision():
    case = slope()
    task = regression("slope", case.task.data, objective="rmse")
    stack = stack_of(case)
    stack.train_epoch()
    held = held_out(stack, case.samples, task, "val_rmse")
    assert (held.kind, held.values.dtype) == ("value", np.float32)
    for i, (member, said) in enumerate(zip(stack.members, stack.predict(), strict=True)):
        assert np.array_equal(held.values[i, member.held_out], said["value"])


# Estimators -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind", "objective"),
    [
        ("logistic", "classification", "accuracy"),
        ("logistic", "classification", "loss"),
        ("logistic", "classification", "roc_auc"),
        ("logistic", "classification", "exact"),
        ("ridge", "regression", "mse"),
        ("ridge", "regression", "loss"),
        ("ridge", "regression", "r2"),
    ],
)
def test_estimators_keep_what_gives_their_score_again(name, kind, objective):
    task = estimators.plain(kind)
    stack = estimators.stack_of(estimators.variant_of(name, task))
    stack.advance(stack.epochs)
    scores = stack.measure()[0][objective]
    held = held_out(stack, task.data.train, task, f"val_{objective}")
    target = task.data.train.targets["target"]
    for i, (member, score) in enumerate(zip(stack.members, scores, strict=True)):
        rows = member.held_out
        assert (held.fold[0, rows] == i).all()
        if held.kind == "metric":
            again = held.values[0, rows].mean(dtype=np.float64)
        else:
            again = task.metrics[objective].of(target[rows], held.predictions()[0, rows])
        assert again == pytest.approx(score, rel=1e-3 if objective == "roc_auc" else 1e-6)
    kinds = {"roc_auc": "log_probability", "exact": "answer", "r2": "value"}
    assert held.kind == kinds.get(objective, "metric")


# Folds ------------------------------------------------------------------------------------------


def test_folds_are_laid_out_by_repeat():
    first = [np.array([0, 3]), np.array([1, 2])]
    second = [np.array([0, 1]), np.array([2, 3])]
    assert folds_by_row([*first, *second], 4).tolist() == [[0, 1, 1, 0], [2, 2, 3, 3]]


def test_rows_that_are_never_held_out_have_no_fold():
    in_time = folds_by_row([np.array([2, 3]), np.array([4])], 5)
    assert in_time.tolist() == [[NO_FOLD, NO_FOLD, 0, 0, 1]]


# Files ------------------------------------------------------------------------------------------


def test_a_file_holds_all_of_it_and_no_pickle():
    fold = np.array([[0, NO_FOLD, 1]], np.int16)
    values = np.array([[[0.5, -np.inf], [np.nan, np.nan], [1, 2]]], np.float16)
    held = HeldOut(key="val_roc_auc", kind="log_probability", values=values, fold=fold)
    content = held.to_bytes()
    assert content == held.to_bytes()
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        assert set(file) == {"key", "kind", "values", "fold"}
    again = HeldOut.from_bytes(content)
    assert (again.key, again.kind) == (held.key, held.kind)
    assert np.array_equal(again.values, values, equal_nan=True)
    assert again.values.dtype == np.float16
    assert np.array_equal(again.fold, fold)
    for damaged in (b"", content[: len(content) // 2]):
        with pytest.raises(ValueError, match="values of held-out rows cannot be read"):
            HeldOut.from_bytes(damaged)


def test_classes_are_whole_numbers_again():
    fold = np.array([[0, NO_FOLD]], np.int16)
    values = np.array([[3.0, np.nan]], np.float16)
    held = HeldOut(key="val_f1", kind="answer", values=values, fold=fold)
    assert held.predictions().tolist() == [[3, 0]]
    assert held.predictions().dtype == np.int64
