"""Whole runs inserted at once are the runs that MLflow's client makes."""

import json
import math
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient, MlflowException
from mlflow.entities import Run
from mlflow.protos.databricks_pb2 import BAD_REQUEST, TEMPORARILY_UNAVAILABLE

from foldsweep import names
from foldsweep.errors import UserError
from sweeps.tracking import uploader
from sweeps.tracking.spool import CLOSE, RUN_TAG, SPOOL_FILE, Spool, TrackingTarget
from sweeps.tracking.uploader import Uploader

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


def made_uploader(folder: Path, empty_mlflow: Path) -> tuple[MlflowClient, Uploader]:
    """An uploader of `RECORDS`, and a client of the store that they go to."""
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
    return MlflowClient(tracking_uri=target.tracking_uri), Uploader(folder, target)


def sent(folder: Path, empty_mlflow: Path) -> tuple[MlflowClient, Uploader]:
    client, made = made_uploader(folder, empty_mlflow)
    while made.send_next():
        pass
    return client, made


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


@pytest.mark.parametrize("code", [TEMPORARILY_UNAVAILABLE, BAD_REQUEST])
@pytest.mark.parametrize("happened", [True, False], ids=["answer lost", "not done"])
def test_a_failed_insert_makes_no_run_twice(
    code: int, happened: bool, tmp_path: Path, empty_mlflow: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert, failed = uploader.insert_runs, []

    def fails_once(*args: Any) -> None:
        if happened or failed:
            insert(*args)
        if not failed:
            failed.append(True)
            raise MlflowException("the connection is lost", code)

    monkeypatch.setattr(uploader, "insert_runs", fails_once)
    client, made = made_uploader(tmp_path / "lost", empty_mlflow)
    if code == TEMPORARILY_UNAVAILABLE:
        with pytest.raises(MlflowException, match="the connection is lost"):
            made.send_next()
    while made.send_next():
        pass
    made.finish(driver_died=False)
    lost = described(client, tmp_path / "lost")
    monkeypatch.setattr(uploader, "insert_runs", insert)
    client, _ = sent(tmp_path / "whole", empty_mlflow)
    whole = described(client, tmp_path / "whole")
    assert lost.keys() == whole.keys()
    for name, run in whole.items():
        for part in ("params", "latest", "history", "datasets"):
            assert lost[name][part] == run[part]
        assert lost[name]["info"]["status"] == run["info"]["status"]


def test_runs_are_inserted_again_after_a_chunk_that_was_not(
    tmp_path: Path, empty_mlflow: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert, asked = uploader.insert_runs, []

    def fails_first(store: Any, experiment: Any, runs: Any) -> None:
        asked.append([run.name for run in runs])
        if len(asked) == 1:
            raise MlflowException("UNIQUE constraint failed: datasets", BAD_REQUEST)
        insert(store, experiment, runs)

    monkeypatch.setattr(uploader, "insert_runs", fails_first)
    monkeypatch.setattr(uploader, "RECORDS_PER_STEP", 8)
    client, _ = sent(tmp_path / "once", empty_mlflow)
    assert asked == [["run 0"], ["run 1"]]
    assert len(described(client, tmp_path / "once")) == 5


def test_nothing_is_inserted_into_an_experiment_that_was_deleted_meanwhile(
    tmp_path: Path, empty_mlflow: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploader, "RECORDS_PER_STEP", 8)
    client, made = made_uploader(tmp_path / "gone", empty_mlflow)
    made.send_next()
    experiment = client.get_experiment_by_name("digits")
    assert experiment is not None
    client.delete_experiment(experiment.experiment_id)
    with pytest.raises(MlflowException):
        made.send_next()
    with pytest.raises(UserError, match="'digits' is deleted: restore it"):
        made.send_next()
    client.restore_experiment(experiment.experiment_id)
    while made.send_next():
        pass
    assert len(described(client, tmp_path / "gone")) == 5


@pytest.mark.parametrize("ended", [True, False], ids=["inserted", "by the client"])
def test_state_is_whole_however_long(
    tmp_path: Path, empty_mlflow: Path, monkeypatch: pytest.MonkeyPatch, ended: bool
) -> None:
    """More parts than MLflow takes tags at a time; what is for people is cut."""
    config = json.dumps({"weights": list(range(100_000))})
    tags = {names.TAG_CONFIG: config, "note": "x" * 9000}
    records = [start(""), start("0", params={"weights": "1" * 9000}, tags=tags)]
    monkeypatch.setitem(globals(), "RECORDS", records + [end("0")] * ended)
    client, made = sent(tmp_path / "a", empty_mlflow)
    assert made.progress.refused == 0
    experiment = client.get_experiment_by_name("digits")
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id])
    (run,) = (run for run in found if run.data.tags[RUN_TAG] == "first/mlp/0")
    assert names.whole_tag(run.data.tags, names.TAG_CONFIG) == config
    assert len(run.data.tags["note"]) == 8000
    assert len(run.data.params["weights"]) == 6000
