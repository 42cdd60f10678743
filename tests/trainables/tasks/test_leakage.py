"""Held-out and test rows change nothing that training sees."""

import numpy as np
import pandas as pd
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

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
    """Samples whose `rows` hold other values within the schema."""
    inputs = {name: array.copy() for name, array in samples.inputs.items()}
    inputs["numeric"][rows] = numeric[rows]
    inputs["categories"][rows] = codes[rows]
    targets = {name: array.copy() for name, array in samples.targets.items()}
    targets["target"][rows] = targets["target"][rows][::-1]
    return Samples(inputs=inputs, targets=targets)


@given(st.sampled_from(sorted(TASKS)), numbers, categories, st.integers(0, 4))
@settings(max_examples=25, deadline=None)
def test_held_out_values_change_no_training(name, numeric, codes, index):
    task, samples = TASKS[name], DATA[name].train
    fold = task.split.folds(samples, target=task.target, num_folds=5, seed=0)[index]
    other = changed(samples, fold.val, numeric, codes)
    fits = [task.encode.fit(rows.take(fold.train)) for rows in (samples, other)]
    states = [fit.state_dict() for fit in fits]
    for key, value in states[0].items():
        assert torch.equal(value, states[1][key]), key
    given = [
        {k: torch.as_tensor(v) for k, v in rows.take(fold.train).inputs.items()}
        for rows in (samples, other)
    ]
    encoded = [fit(rows) for fit, rows in zip(fits, given, strict=True)]
    for key, value in encoded[0].items():
        assert torch.equal(value, encoded[1][key]), key
    statistics = [task.statistics(rows.take(fold.train)) for rows in (samples, other)]
    for key, value in statistics[0].items():
        np.testing.assert_array_equal(value, statistics[1][key])


def test_the_test_can_fail():
    """Statistics that saw held-out rows would differ."""
    task, samples = TASKS["classes"], DATA["classes"].train
    fold = task.split.folds(samples, target=task.target, num_folds=5, seed=0)[0]
    other = changed(samples, fold.val, np.full((ROWS, 2), 1e5), np.zeros((ROWS, 1), np.int64))
    fits = [task.encode.fit(rows).state_dict() for rows in (samples, other)]
    assert not torch.equal(fits[0]["mean"], fits[1]["mean"])


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
