import json

import numpy as np
import pytest

from tests.refusals import refused
from trainables.tasks.kinds import classification
from trainables.tasks.record import task_from_record, task_record
from trainables.tasks.samples import Data
from trainables.tasks.table.schema import Schema
from trainables.tasks.tables import TableOptions, data_again, table_task


def recorded(**options):
    """Task, and its record as read from a file."""
    task = table_task(TableOptions(**options), seed=0, objective=options.pop("objective", None))
    return task, json.loads(json.dumps(task_record(task, task.data)))


@pytest.mark.parametrize("name", ["iris", "diabetes", "digit_images"])
def test_a_task_again_from_its_record(name):
    task, record = recorded(data=name, repeats=2)
    again = task_from_record(record, data_again(record["origin"]))
    assert task_record(again, again.data) == task_record(task, task.data)
    assert again.split.repeats == 2
    assert again.classes == task.classes
    assert Schema.from_dict(record["schema"]) == task.data.schema


def test_a_task_of_a_file_again(churn, tmp_path):
    churn.assign(part=np.arange(200) % 4).to_csv(tmp_path / "t.csv", index=False)
    options = TableOptions(data=str(tmp_path / "t.csv"), target="left", fold="part")
    task = table_task(options, seed=0, objective="roc_auc")
    record = json.loads(json.dumps(task_record(task, task.data)))
    again = task_from_record(record, data_again(record["origin"]))
    for left, right in zip(
        *(
            t.split.folds(t.data.train, target=t.target, num_folds=4, seed=0)
            for t in (task, again)
        ),
        strict=True,
    ):
        np.testing.assert_array_equal(left.val, right.val)
    assert again.objective == "roc_auc"


def test_recorded_equivalence_holds():
    task, record = recorded(data="diabetes")
    record["metrics"]["rmse"]["equal"] = 5.0
    assert task_from_record(record, task.data).metrics["rmse"].equal == 5.0


@pytest.mark.parametrize(
    ("change", "kind", "values"),
    [
        ({"digest": "0"}, "record.other-data", {"task": "iris", "recorded": "0"}),
        ({"kind": "other"}, "record.task-of-a-program", {"task": "iris"}),
        ({"origin": {}}, "record.task-of-a-program", {"task": "iris"}),
        ({"objective": "mine"}, "scores.objective-unknown", {"objective": "mine"}),
        ({"metrics": {"mine": {}}}, "scores.objective-unknown", {"objective": "mine"}),
        ({"metrics": {"accuracy": 1, "log_loss": 1}}, "record.metrics-differ", {}),
        ({"metrics": []}, "record.value-invalid", {"key": "metrics"}),
        ({"split": {"kind": "own"}}, "splits.folds-of-a-program", {}),
        ({"outputs": "3"}, "record.value-invalid", {"key": "outputs", "value": "'3'"}),
        ({"target": "petals"}, "kinds.target-unnamed", {"targets": "target"}),
    ],
)
def test_damaged_records_are_refused(change, kind, values):
    task, record = recorded(data="iris")
    with refused(kind, **values):
        task_from_record({**record, **change}, task.data)


def test_a_record_of_a_task_of_a_program():
    x = np.random.default_rng(0).random((60, 3))
    task = classification("t", Data.of(x, np.arange(60) % 2))
    record = json.loads(json.dumps(task_record(task, task.data)))
    assert record["classes"] == [0, 1]
    with refused("record.task-of-a-program", task="t"):
        task_from_record(record, task.data)
