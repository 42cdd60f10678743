"""Sweeps of any task, and the names and tags that identify them."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search_spaces.loading import load_space
from sweeps import sweep as sweep_module
from sweeps.lifecycle import Lifecycle
from sweeps.records import run_tags, write_task
from sweeps.settings import SweepSettings
from tests.sweeps.sweep.dry import ALLOTMENT, NoTracker, sweep_in
from trainables.tasks.options import TableOptions
from trainables.tasks.tables import table_task
from trainables.tasks.task import DataRequest, Task
from trainables.trial import Context


def swept(
    task: Task, name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, **settings: Any
) -> tuple[Lifecycle, Context]:
    """Return lifecycle and context of a sweep over the user's data."""
    given: list[Any] = []
    monkeypatch.setattr(sweep_module, "Tracker", NoTracker)

    def fit(life: Lifecycle, context: Context, *_: Any, **__: Any) -> bool:
        given.append((life, context))
        return False

    monkeypatch.setattr(sweep_module, "fit", fit)
    sweep_in(folder, load_space(name, task), task.load(DataRequest(seed=0)), **settings)
    return given[0]


@pytest.mark.parametrize(
    ("name", "epochs", "report_at"),
    [
        ("random_forest", None, (33, 100, 300)),
        ("hist_gradient_boosting", None, None),
        ("logistic", None, (1,)),
        ("svm", None, (1,)),
        ("mlp", 9, (3, 9)),
    ],
)
def test_only_what_trains_in_steps_is_stopped_early_at_its_own_rungs(
    name: str,
    epochs: int | None,
    report_at: tuple[int, ...] | None,
    table: Task,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    life, context = swept(table, name, tmp_path, monkeypatch, epochs=epochs, folds=3)
    if report_at is None:
        most = life.space.most_epochs()
        report_at = (round(round(most / 3) / 3), round(most / 3), most)
    assert life.report_at == context.report_at == report_at
    assert tuple(rung.epochs for rung in life.ledger.rungs) == report_at[:-1]
    assert context.save_at == report_at[:-1]


@pytest.mark.parametrize("name", ["logistic", "random_forest", "hist_gradient_boosting"])
def test_epochs_are_for_networks(
    name: str, table: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    life, _ = swept(table, name, tmp_path, monkeypatch, epochs=2)
    assert life.epochs == life.space.most_epochs()
    config = life.start("a")
    assert config is not None
    resource = life.space.resource
    if resource is not None:
        assert config[resource] == life.epochs > 2


def test_repeats_are_folds_of_every_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"data": "wine", "repeats": 2}
    task = table_task(TableOptions(**options), seed=0, objective=None)
    _, context = swept(task, "logistic", tmp_path, monkeypatch, folds=3, **options)
    assert len(context.folds) == 6
    assert not np.array_equal(context.folds[0].val, context.folds[3].val)


def test_runs_are_tagged_with_the_task(table: Task) -> None:
    data = table.load(DataRequest(seed=0))
    settings = SweepSettings(space=("logistic",), repeats=2, data="wine")
    tags = run_tags(settings, load_space("logistic", table), data, "first/logistic", ALLOTMENT)
    assert (tags["task"], tags["variant"], tags["dataset"]) == ("wine", "wine/logistic", "wine")
    assert (tags["train_rows"], tags["test_rows"], tags["repeats"]) == ("142", "36", "2")
    metrics = json.loads(tags["foldsweep.metrics"])
    assert metrics["val_accuracy"]["better"] == "higher"
    assert metrics["val_log_loss"]["better"] == "lower"
    assert "val_roc_auc" not in metrics


def test_the_record_of_a_task_says_what_its_data_was_and_names_no_folder(tmp_path: Path) -> None:
    rows = "\n".join(f"{i},{i % 7},{'yes' if i % 2 else 'no'}" for i in range(60))
    (tmp_path / "table.csv").write_text(f"size,age,left\n{rows}\n")
    options = TableOptions(data=str(tmp_path / "table.csv"), target="left")
    task = table_task(options, seed=3, objective="roc_auc")
    file = write_task(tmp_path, task, task.load(DataRequest(seed=3)))
    text = file.read_text()
    assert str(tmp_path) not in text
    kept = json.loads(text)
    assert kept["origin"]["data"] == "table.csv"
    assert (
        kept["origin"]["sha256"]
        == hashlib.sha256((tmp_path / "table.csv").read_bytes()).hexdigest()
    )
    assert kept["record"]["objective"] == "roc_auc"
    assert kept["record"]["classes"] == ["no", "yes"]
