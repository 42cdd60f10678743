"""Values of held-out and test rows do not affect training."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from tests.trainables.same import assert_identical
from trainables.data.folds import Fold
from trainables.models.perceptron import (
    Perceptron,
    PerceptronClassifierConfig,
    PerceptronConfig,
)
from trainables.stack.stack import FoldStack, Member
from trainables.tasks.kinds import classification, regression
from trainables.tasks.samples import Data, Samples

ROWS = 80
CITIES = ["a", "b", "c", None]


def _frame():
    random = np.random.default_rng(0)
    pay = random.normal(size=ROWS)
    pay[::7] = np.nan
    return pd.DataFrame(
        {"age": random.normal(size=ROWS), "pay": pay, "city": random.choice(CITIES, ROWS)}
    )


FRAME = _frame()
DATA = {
    "classes": Data.of(FRAME, np.arange(ROWS) % 2, holdout=0.0),
    "numbers": Data.of(FRAME, FRAME["age"] ** 2, holdout=0.0),
}
TASKS = {
    "classes": classification("t", DATA["classes"]),
    "numbers": regression("t", DATA["numbers"]),
}

numbers = npst.arrays(
    np.float64,
    (ROWS, 2),
    elements=st.one_of(st.just(np.nan), st.floats(-1e6, 1e6, allow_nan=False)),
)
categories = npst.arrays(np.int64, (ROWS, 1), elements=st.integers(-1, 2))


def changed(samples: Samples, rows: np.ndarray, numeric: np.ndarray, codes: np.ndarray) -> Samples:
    """Copy of samples in which `rows` have other values within the schema."""
    inputs = {name: array.copy() for name, array in samples.inputs.items()}
    inputs["numeric"][rows] = numeric[rows]
    inputs["categories"][rows] = codes[rows]
    targets = {name: array.copy() for name, array in samples.targets.items()}
    target = targets["target"]
    target[rows] = 0 if target.dtype.kind == "i" else target[rows] * 1000 + 7
    return Samples(inputs=inputs, targets=targets)


def learnt(name: str, samples: Samples, train: np.ndarray, held_out: np.ndarray) -> dict:
    """State of a member after one epoch: its encoder, then the weights of its network."""
    task, data = TASKS[name], DATA[name]
    kind = PerceptronClassifierConfig if name == "classes" else PerceptronConfig
    config = kind(hidden=4, batch_size=20, epochs=1)
    stack = FoldStack(
        lambda config: Perceptron(config, task.shapes(data)),
        [Member(config=config, train=train, held_out=held_out, seed=3)],
        samples,
        task=task,
        mode="looped",
    )
    stack.train_epoch()
    return {**stack.rows.encoders[0].state_dict(), **stack.weights(0)}


def a_fold(name: str, index: int = 0) -> Fold:
    task, samples = TASKS[name], DATA[name].train
    return task.split.folds(samples, target=task.target, num_folds=5, seed=0)[index]


@given(st.sampled_from(sorted(TASKS)), numbers, categories, st.integers(0, 4))
@settings(max_examples=15, deadline=None)
def test_held_out_values_change_no_training(name, numeric, codes, index):
    fold, samples = a_fold(name, index), DATA[name].train
    other = changed(samples, fold.val, numeric, codes)
    one, two = (learnt(name, rows, fold.train, fold.val) for rows in (samples, other))
    assert_identical(one, two)


@pytest.mark.parametrize("name", sorted(TASKS))
def test_values_trained_on_do_change_it(name):
    """The same change to rows, some of them held out and some trained on, has an effect."""
    fold, samples = a_fold(name), DATA[name].train
    other = changed(samples, fold.val, np.full((ROWS, 2), 1e5), np.zeros((ROWS, 1), np.int64))
    train = np.union1d(fold.train, fold.val[::2])
    one, two = (learnt(name, rows, train, fold.val[1::2]) for rows in (samples, other))
    assert one.keys() == two.keys()
    assert not torch.equal(one["mean"], two["mean"])
    weights = [key for key in one if key.endswith("weight")]
    assert weights
    assert any(not torch.equal(one[key], two[key]) for key in weights)


@given(st.integers(0, 3))
@settings(max_examples=4, deadline=None)
def test_test_rows_change_neither_schema_nor_training_rows(seed):
    target = np.arange(ROWS) % 2
    data = Data.of(FRAME.assign(row=np.arange(ROWS) * 7.5), target, seed=seed)
    place = data.schema.numeric.index("row")
    rows = (data.test.inputs["numeric"][:, place] / 7.5).astype(int)
    frame = FRAME.assign(row=np.arange(ROWS) * 7.5)
    frame.loc[rows, ["age", "pay"]] = np.nan
    frame.loc[rows, "city"] = "elsewhere"
    other = Data.of(frame, target, seed=seed)
    assert other.schema == data.schema
    for name, array in data.train.inputs.items():
        np.testing.assert_array_equal(array, other.train.inputs[name])
