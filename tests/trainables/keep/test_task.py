"""A task that is built from its record alone predicts like the trained one."""

import numpy as np
import pytest

from search_spaces.loading import load_space
from tests.refusals import refused
from tests.trainables.keep.cases import of_space, table, task_data
from trainables.keep.model import KeptModel
from trainables.keep.task import task_of
from trainables.tasks.tables import TableOptions, table_task

FROM_FILES = ["table classes", "table numbers", "estimator classes", "estimator numbers"]


@pytest.mark.parametrize("name", FROM_FILES)
def test_model_comes_back_by_its_record_alone(name, case_of, model_of, tmp_path):
    case, model = case_of(name), model_of(name)
    model.save(tmp_path)
    again = KeptModel.load(
        tmp_path,
        variant_of=lambda recipe, _: load_space(recipe.space, task_of(recipe.record)).variant,
    )
    wanted, given = (m.predict(case.rows.inputs) for m in (model, again))
    assert all(np.array_equal(wanted[key], given[key]) for key in wanted)
    assert again.variant.full_name == case.variant.full_name


@pytest.mark.parametrize("target", ["left", "bill"])
def test_task_is_that_of_the_record(target, tmp_path):
    task = table(tmp_path, target, objective={"left": "roc_auc", "bill": "rmse"}[target])
    variant, config = of_space("mlp", task)
    from tests.trainables.keep.cases import recipe_of

    again = task_of(recipe_of(variant, config, task_data(task)).record)
    for field in ("name", "kind", "objective", "classes", "outputs", "target", "split"):
        assert getattr(again, field) == getattr(task, field)
    assert {k: m.better for k, m in again.metrics.items()} == {
        k: m.better for k, m in task.metrics.items()
    }
    assert again.metrics[task.objective].equal == task.metrics[task.objective].equal
    assert again.encode == task.encode


def test_images_come_back_too():
    task = table_task(TableOptions(data="digit_images"), seed=0, objective=None)
    data = task_data(task)
    from trainables.tasks.record import task_record
    from trainables.tasks.shapes import inputs_record

    again = task_of(task_record(task, data) | inputs_record(task, data))
    assert again.standardise == task.standardise
    assert again.classes == tuple(range(10))


@pytest.mark.parametrize(
    ("change", "kind", "values"),
    [
        ({"schema": None}, "keep-task.task-of-a-program", {}),
        ({"origin": {}}, "record.task-of-a-program", {}),
        ({"outputs": "two"}, "keep-task.field-damaged", {"field": "outputs", "value": "'two'"}),
        ({"digest": None}, "keep-task.field-damaged", {"field": "digest", "value": "None"}),
        ({"kind": "poetry"}, "record.task-of-a-program", {}),
    ],
)
def test_damaged_record_is_refused(change, kind, values, case_of):
    record = {**case_of("table classes").recipe.record, **change}
    with refused(kind, **values) as caught:
        task_of(record)
    assert "\n" not in str(caught.value)
