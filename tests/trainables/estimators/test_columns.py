"""Columns and pipelines: order, missing values, rare and unseen categories, no leakage."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from tests.trainables.estimators.cases import VARIANTS, mixed, same, stack_of, variant_of
from trainables.models.estimators.columns import columns_of, pipeline, widths
from trainables.stack.estimators import EstimatorStack
from trainables.tasks.samples import Samples
from trainables.tasks.task import Shapes


def samples(**inputs: np.ndarray) -> Samples:
    rows = len(next(iter(inputs.values())))
    return Samples(inputs=inputs, targets={"target": np.zeros(rows)})


def test_numbers_come_first_and_missing_categories_are_nan():
    table = samples(categories=np.array([[2, -1]]), numeric=np.array([[0.5, np.nan]]))

    columns = columns_of(table)

    assert columns.dtype == np.float64
    np.testing.assert_array_equal(columns, [[0.5, np.nan, 2.0, np.nan]])
    assert widths(Shapes(inputs={"categories": (2,), "numeric": (2,)}, outputs=1)) == (2, 2)


def test_arrays_are_flattened_in_order():
    images = np.arange(12, dtype=np.float32).reshape(2, 3, 2)

    columns = columns_of(samples(images=images, extra=np.array([7, 8])))

    np.testing.assert_array_equal(columns[1], [6, 7, 8, 9, 10, 11, 8])
    assert widths(Shapes(inputs={"images": (3, 2), "extra": ()}, outputs=1)) == (7, 0)


def test_no_rows_are_no_error():
    assert columns_of(samples(images=np.zeros((0, 3, 2)))).shape == (0, 6)


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_table_of_categories_alone_is_enough(kind):
    task = mixed(kind)
    table = samples(categories=task.data.train.inputs["categories"])
    shapes = Shapes(inputs={"categories": (2,)}, outputs=2)
    for name, of in VARIANTS:
        if of == kind:
            variant = variant_of(name, task)
            model = variant.model(variant.config(), shapes)
            with threadpool_limits(1):
                model.fit(columns_of(table), task.data.train.targets["target"])


def test_rare_and_unseen_categories_share_a_column():
    codes = np.repeat([0.0, 1.0, 2.0, 3.0], [9, 9, 2, 2])[:, None]
    shapes = Shapes(inputs={"categories": (1,)}, outputs=1)
    step = pipeline(shapes, None, scaled=False)[0].fit(codes)

    common, rare, other, unseen = step.transform([[0.0], [2.0], [3.0], [8.0]])

    assert common.tolist() == [1, 0, 0]
    assert rare.tolist() == other.tolist() == unseen.tolist() == [0, 0, 1]


def test_missing_numbers_are_filled_in_and_flagged():
    numbers = np.array([[1.0, np.nan], [3.0, np.nan], [np.nan, np.nan]])
    shapes = Shapes(inputs={"numeric": (2,)}, outputs=1)
    step = pipeline(shapes, None, scaled=False)[0]

    filled = step.fit_transform(numbers)

    np.testing.assert_array_equal(filled, [[1, 0, 0, 1], [3, 0, 0, 1], [2, 0, 1, 1]])


@pytest.mark.parametrize(("name", "kind"), VARIANTS)
def test_held_out_rows_change_no_training(name, kind):
    task = mixed(kind)
    variant = variant_of(name, task)
    stack = stack_of(variant)
    member = stack.members[0]
    inputs = {key: array.copy() for key, array in task.data.train.inputs.items()}
    targets = {key: array.copy() for key, array in task.data.train.targets.items()}
    inputs["numeric"][member.held_out] *= 100
    inputs["categories"][member.held_out] = 3
    targets["target"][member.held_out] = 0
    changed = EstimatorStack(
        stack.make_model,
        [member],
        Samples(inputs=inputs, targets=targets),
        task=task,
        shapes=stack.shapes,
    )

    stack.advance(stack.epochs)
    changed.advance(stack.epochs)

    assert same(stack.predictions(member.train)[:1], changed.predictions(member.train))
