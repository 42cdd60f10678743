"""Whole runs inserted at once are the runs that MLflow's client makes."""

import math
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from sweeps import uploader
from sweeps.spool import CLOSE, RUN_TAG, SPOOL_FILE, Spool, TrackingTarget
from sweeps.uploader import Uploader

DATASET = {
    "name": "digits",
    "digest": "0123abcd",
    "source_type": "code",
    "source": "{}",
    "profile": '{"pairs": 3}',
    "context": "training",
}


def start(run: str, **changes: object) -> dict[str, Any]:
    record = {"op": "start", "run": run, "time": 1000, "name": f"run {run}", "params": {}}
    return record | {"tags": {}, "dataset": DATASET} | changes


def end(run: str, status: str = "FINISHED") -> dict[str, Any]:
    return {"op": "end", "run": run, "status": status, "time": 2000}


RECORDS = [
    start("", params={"seed": "0"}),
    start(
        "0", params={"lr": "0.1", "note": "x" * 7000}, tags={"space": "mlp", "mlflow.user": "me"}
    ),
    {"op": "metrics", "run": "0", "points": [["acc", 0.5, 1, 1100], ["acc", 0.6, 2, 1100]]},
    {"op": "metrics", "run": "0", "points": [["acc", 0.6, 2, 1100], ["loss", math.nan, 1, 1100]]},
    {"op": "metrics", "run": "0", "points": [["loss", math.inf, 2, 1200], ["late", 1, 3, 900]]},
    {"op": "metrics", "run": "0", "points": [["late", 2, 1, 1900], ["o%dd", 2.0, 1, 1900]]},
    {"op": "tags", "run": "0", "tags": {"space": "cnn", "state": "COMPLETE"}},
    end("0"),
    start("1", dataset=None),
    end("1", "KILLED"),
    start("2"),  # goes on
    start("3", params={"ok": "1", "": "no name"}),  # refused in part
    end("3", "FAILED"),
    end(""),
    CLOSE,
]


def sent(folder: Path, empty_mlflow: Path) -> tuple[MlflowClient, Uploader]:
    folder.mkdir()
    shutil.copy(empty_mlflow, folder / "mlflow.db")
    spool = Spool(folder / SPOOL_FILE)
    for record in RECORDS:
        spool.append(record)
    spool.close()
    target = TrackingTarget(
        tracking_uri=f"sqlite:///{folder}/mlflow.db",
        experiment="digits",
        sweep="first/mlp",
        study_storage="study.journal",
        study_name="first/mlp",
    )
    made = Uploader(folder, target)
    while made.send_next():
        pass
    return MlflowClient(tracking_uri=target.tracking_uri), made


def described(client: MlflowClient, folder: Path) -> dict[str, dict[str, Any]]:
    """All that can be seen of the runs, but for what MLflow makes up."""
    experiment = client.get_experiment_by_name("digits")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    names = {run.info.run_id: run.data.tags[RUN_TAG] for run in runs}
    assert len(set(names.values())) == len(runs)

    def known(text: str | None) -> str | None:
        for run_id, name in names.items():
            text = text and text.replace(run_id, name)
        return text and text.replace(str(folder), "FOLDER")

    def points(run: Run, key: str) -> list[tuple[Any, ...]]:
        history = client.get_metric_history(run.info.run_id, key)
        return sorted((m.step, m.timestamp, repr(m.value)) for m in history)

    return {
        run.data.tags[RUN_TAG]: {
            "info": {k: known(str(v)) for k, v in dict(run.info).items()},
            "params": run.data.params,
            "tags": {k: known(v) for k, v in run.data.tags.items()},
            "latest": {k: repr(v) for k, v in run.data.metrics.items()},
            "history": {key: points(run, key) for key in run.data.metrics},
            "datasets": [
                (given.dataset.to_dictionary(), [(t.key, t.value) for t in given.tags])
                for given in run.inputs.dataset_inputs
            ],
        }
        for run in runs
    }


def test_inserted_runs_are_those_of_the_client(
    tmp_path: Path, empty_mlflow: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inserted: list[str] = []
    insert = uploader.insert_runs

    def noted(store: Any, experiment: Any, runs: Any) -> None:
        inserted.extend(run.name for run in runs)
        insert(store, experiment, runs)

    monkeypatch.setattr(uploader, "insert_runs", noted)
    client, made = sent(tmp_path / "whole", empty_mlflow)
    whole = described(client, tmp_path / "whole")
    assert sorted(inserted) == ["run 0", "run 1"]
    assert made.progress.refused == 1

    monkeypatch.setattr(uploader, "database_of", lambda client: None)
    client, made = sent(tmp_path / "single", empty_mlflow)
    assert described(client, tmp_path / "single") == whole
    assert len(whole) == 5
    assert made.progress.refused == 1


def test_runs_go_one_by_one_where_they_cannot_be_inserted(
    tmp_path: Path, empty_mlflow: Path
) -> None:
    """A table that takes a run as the client makes it, but none that has ended already."""
    refusing = tmp_path / "refusing.db"
    shutil.copy(empty_mlflow, refusing)
    with closing(sqlite3.connect(refusing)) as database:
        database.execute(
            "CREATE TRIGGER not_whole BEFORE INSERT ON runs WHEN NEW.end_time IS NOT NULL"
            " BEGIN SELECT RAISE(FAIL, 'not a whole one'); END"
        )
    client, made = sent(tmp_path / "refused", refusing)
    assert len(described(client, tmp_path / "refused")) == 5
    assert made.num_sent == len(RECORDS) - 1
