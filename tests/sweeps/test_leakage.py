"""Held-out rows of a table do not influence what a fold's member learns."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from search_spaces.loading import load_space
from sweeps.settings import SweepSettings
from sweeps.sweep import make_folds
from trainables.data.folds import Fold
from trainables.stack.stack import FoldStack
from trainables.tasks.kinds import classification, regression
from trainables.tasks.samples import Data
from trainables.tasks.task import Task
from trainables.trial import Context, CrossValidation

ROWS = 90
SPACES = ("mlp", "hist_gradient_boosting", "random_forest", "svm", "knn")


def frame() -> pd.DataFrame:
    """A table with numbers and categories, some of them missing."""
    rng = np.random.default_rng(0)
    columns: dict[str, Any] = {
        "age": rng.normal(size=ROWS),
        "pay": rng.normal(size=ROWS),
        "city": rng.choice(["a", "b", "c"], ROWS),
    }
    table = pd.DataFrame(columns)
    table.loc[::7, "pay"] = np.nan
    table.loc[::11, "city"] = None
    return table


def changed(table: pd.DataFrame, rows: np.ndarray) -> pd.DataFrame:
    """Copy of a table with different valid values in some rows."""
    other = table.copy()
    other.loc[rows, ["age", "pay"]] *= 1000.0
    other.loc[rows, "city"] = other.loc[rows, "city"].to_numpy()[::-1]
    return other


def target(kind: str) -> np.ndarray:
    rng = np.random.default_rng(1)
    return rng.permutation([0, 1] * (ROWS // 2)) if kind == "classes" else rng.normal(size=ROWS)


def task_of(
    table: pd.DataFrame, kind: str, answers: np.ndarray | None = None
) -> tuple[Task, Data, tuple[Fold, ...]]:
    answers = target(kind) if answers is None else answers
    data = Data.of(table, answers, holdout=0.0, name="own")
    task = (classification if kind == "classes" else regression)("own", data)
    return task, data, make_folds(task, data, SweepSettings(folds=3))


def trained(
    table: pd.DataFrame,
    kind: str,
    name: str,
    *,
    answers: np.ndarray | None = None,
    folds: tuple[Fold, ...] | None = None,
) -> CrossValidation:
    """Train a short trial of a space's first point."""
    task, data, own = task_of(table, kind, answers)
    folds = folds or own
    space = load_space(name, task)
    length = {} if space.resource is None else {space.resource: 3}
    config = space.complete(space.points[0].config, **length)
    trial = CrossValidation(space.variant, config, Context(data=data, folds=folds, seed=5), 2)
    trial.advance(config.epochs)
    return trial


def learnt(trial: CrossValidation, member: int, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Weights of a member's network, or an estimator's predictions for some rows."""
    if isinstance(trial.stack, FoldStack):
        return {name: value.numpy() for name, value in trial.stack.weights(member).items()}
    return trial.stack.predictions(rows)[member]


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    assert one
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("kind", ["classes", "numbers"])
def test_held_out_rows_change_no_weight_and_do_change_the_score(kind: str, name: str) -> None:
    _, _, folds = task_of(frame(), kind)
    fold = folds[1]
    one, other = (trained(table, kind, name) for table in (frame(), changed(frame(), fold.val)))
    assert [f.val.tolist() for f in other.context.folds] == [f.val.tolist() for f in folds]
    assert same(learnt(one, 1, fold.train), learnt(other, 1, fold.train))
    for member in (0, 2):  # these train on the changed rows
        rows = np.setdiff1d(folds[member].train, fold.val)
        assert not same(learnt(one, member, rows), learnt(other, member, rows))
    score = "val_log_loss" if kind == "classes" else "val_r2"
    assert one.by_fold[score][1] != other.by_fold[score][1]


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("kind", ["classes", "numbers"])
def test_held_out_targets_change_no_weight(kind: str, name: str) -> None:
    """Neither the scale of the target nor the class weights depend on them."""
    _, _, folds = task_of(frame(), kind)
    fold, answers = folds[1], target(kind)
    answers[fold.val] = 1 if kind == "classes" else answers[fold.val] * 1000
    one = trained(frame(), kind, name)
    other = trained(frame(), kind, name, answers=answers, folds=folds)
    assert same(learnt(one, 1, fold.train), learnt(other, 1, fold.train))
    for member in (0, 2):  # these train on the changed rows
        rows = np.setdiff1d(folds[member].train, fold.val)
        assert not same(learnt(one, member, rows), learnt(other, member, rows))


def test_rows_set_aside_change_nothing_at_all() -> None:
    """Neither the meaning of columns nor folds nor weights change."""
    one = set_aside(frame())
    ages = one.train.inputs["numeric"][:, one.schema.numeric.index("age")]
    apart = np.flatnonzero(~np.isclose(frame()["age"].to_numpy()[:, None], ages).any(axis=1))
    assert len(apart) == 18
    other = set_aside(changed(frame(), apart))
    assert one.test is not None
    assert other.test is not None
    assert not np.array_equal(one.test.inputs["numeric"], other.test.inputs["numeric"])
    assert one.schema == other.schema
    trials = []
    for data in (one, other):
        task = classification("own", data)
        space = load_space("mlp", task)
        folds = make_folds(task, data, SweepSettings(folds=3))
        config = space.complete(space.points[0].config, epochs=3)
        trials.append(
            CrossValidation(space.variant, config, Context(data=data, folds=folds, seed=5), 2)
        )
        trials[-1].advance(3)
    assert trials[0].by_fold == trials[1].by_fold
    assert same(*(learnt(trial, 0, folds[0].train) for trial in trials))


def set_aside(table: pd.DataFrame) -> Data:
    return Data.of(table, target("classes"), name="own", holdout=0.2, seed=3)
