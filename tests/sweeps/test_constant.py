"""Score of a constant prediction, against the same computed by hand."""

import numpy as np
import pytest

import foldsweep as fs
from sweeps.constant import constant_score
from sweeps.settings import SweepSettings
from sweeps.sweep import make_folds
from trainables.data.folds import Fold
from trainables.tasks.samples import Data
from trainables.tasks.task import Task

ROWS = np.random.default_rng(1).normal(size=(60, 2))
CLASSES = np.array(["no", "yes", "no"] * 20)
VALUES = np.random.default_rng(0).normal(3, 2, size=60)


def of(task: Task, *, folds: int = 4) -> tuple[Data, tuple[Fold, ...]]:
    assert isinstance(task.data, Data)
    settings = SweepSettings(space=("mlp",), folds=folds).for_task(task)
    return task.data, make_folds(task, task.data, settings)


def test_the_most_frequent_class_is_predicted() -> None:
    task = fs.table(ROWS, CLASSES)
    data, folds = of(task)
    shares = [np.mean(data.train.targets["target"][fold.val] == 0) for fold in folds]
    assert constant_score(task, data, folds, "accuracy") == pytest.approx(np.mean(shares))


@pytest.mark.parametrize(("metric", "score"), [("roc_auc", 0.5), ("balanced_accuracy", 0.5)])
def test_frequencies_are_the_probabilities(metric: str, score: float) -> None:
    task = fs.table(ROWS, CLASSES, objective=metric)
    assert constant_score(task, *of(task), metric) == pytest.approx(score)


def test_a_class_that_a_training_part_lacks_has_probability_0() -> None:
    task = fs.table(ROWS, np.array([*"abc"] * 20), objective="log_loss")
    data, _ = of(task)
    target = data.train.targets["target"]
    two = np.flatnonzero(target != 2)
    folds = [Fold(train=two[::2], val=two[1::2])]
    share = np.bincount(target[two[::2]]) / len(two[::2])
    expected = -np.mean(np.log(share[target[two[1::2]]]))
    assert constant_score(task, data, folds, "log_loss") == pytest.approx(expected)


@pytest.mark.parametrize("metric", ["rmse", "r2"])
def test_the_mean_value_is_predicted(metric: str) -> None:
    task = fs.table(ROWS, VALUES, objective=metric)
    data, folds = of(task)
    target = data.train.targets["target"]
    errors = [np.mean((target[fold.val] - target[fold.train].mean()) ** 2) for fold in folds]
    if metric == "rmse":
        expected = np.mean(np.sqrt(errors))
    else:
        spreads = [target[fold.val].var() for fold in folds]
        expected = np.mean([1 - e / s for e, s in zip(errors, spreads, strict=True)])
    assert constant_score(task, data, folds, metric) == pytest.approx(expected)


def test_a_metric_of_a_network_s_output_has_none() -> None:
    task = fs.table(ROWS, CLASSES)
    assert constant_score(task, *of(task), "loss") is None
    assert constant_score(task, *of(task), "num_params") is None
