"""Records of a spool arrive in the store exactly once."""

import json
import math
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from mlflow import MlflowClient
from requests import RequestException

from foldsweep.views import view_tags
from sweeps.tracking.spool import CURSOR_FILE, RESTORED_FILE, SPOOL_FILE, Spool, TrackingTarget
from sweeps.tracking.uploader import Uploader
from tests.sweeps.tracking.uploader.records import (
    check_small_sweep,
    datasets,
    end,
    fill,
    history,
    metrics,
    runs_of,
    send,
    small_sweep,
    start,
)


def test_steps_that_a_lost_driver_has_sent_are_not_there_twice(
    folder: Path, target: TrackingTarget, spool: Spool, client: MlflowClient, tmp_path: Path
) -> None:
    """The lost driver was ahead of the copy that is resumed, which trains these steps again."""
    fill(spool, start(""), start("1"), metrics("1", ("loss", 0.5, 1), ("loss", 0.4, 2)))
    send(folder, target)
    again = tmp_path / "again"
    shutil.copytree(folder, again)
    lines = (again / SPOOL_FILE).read_text().splitlines(keepends=True)
    lines[-1] = json.dumps(metrics("1", ("loss", 0.5, 1))) + "\n"
    (again / SPOOL_FILE).write_text("".join(lines))
    (again / CURSOR_FILE).unlink()
    (again / RESTORED_FILE).write_text(json.dumps({"offset": sum(map(len, lines))}))
    other = Spool(again / SPOOL_FILE)
    later = [["loss", 0.4, 2, 9000], ["loss", 0.3, 3, 9001], ["a%", 1.0, 1, 9001]]
    fill(other, start("1"), {"op": "metrics", "run": "1", "points": later}, end("1"))
    fill(other, start("2"), metrics("2", ("loss", 0.9, 1)), end("2"))
    other.close()
    for _ in range(2):
        send(again, target)
    runs = runs_of(client)
    assert [step for step, *_ in history(client, runs["first/cnn_ws_aux/1"], "loss")] == [1, 2, 3]
    assert [step for step, *_ in history(client, runs["first/cnn_ws_aux/1"], "a_")] == [1]
    assert [step for step, *_ in history(client, runs["first/cnn_ws_aux/2"], "loss")] == [1]


def test_a_sweep_arrives_whole(
    folder: Path, target: TrackingTarget, client: MlflowClient, spool: Spool
) -> None:
    small_sweep(spool)
    uploader = send(folder, target)
    check_small_sweep(client)
    assert (uploader.num_sent, uploader.sent_runs) == (12, {"", "0", "1"})
    assert uploader.progress.offset == (folder / SPOOL_FILE).stat().st_size
    parent, trial = (runs_of(client)[f"first/cnn_ws_aux{name}"] for name in ("", "/1"))
    assert parent.data.params == {"seed": "1"}
    assert parent.data.tags["space"] == "cnn_ws_aux"
    assert trial.info.run_name == "run 1"
    assert trial.data.params == {"lr": "0.1"}
    assert trial.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert "mlflow.parentRunId" not in parent.data.tags
    assert (trial.info.status, trial.info.start_time, trial.info.end_time) == (
        "FINISHED",
        1000,
        2000,
    )
    (dataset,) = datasets(trial)
    assert (dataset.dataset.name, dataset.dataset.digest) == ("digits", "0123abcd")
    assert [(tag.key, tag.value) for tag in dataset.tags] == [("mlflow.data.context", "training")]
    experiment = client.get_experiment(parent.info.experiment_id)
    assert view_tags().items() <= experiment.tags.items()


def test_sending_again_from_the_start_adds_nothing(
    folder: Path, target: TrackingTarget, client: MlflowClient, spool: Spool
) -> None:
    small_sweep(spool)
    fill(spool, metrics("0", ("nan", math.nan, 1), ("inf", math.inf, 1)))
    for _ in range(3):
        (folder / CURSOR_FILE).unlink(missing_ok=True)
        send(folder, target)
        check_small_sweep(client)
    run = runs_of(client)["first/cnn_ws_aux/0"]
    assert len(history(client, run, "nan")) == len(history(client, run, "inf")) == 1
    assert math.isnan(run.data.metrics["nan"])


def test_nothing_is_sent_twice_when_nothing_waits(
    folder: Path, target: TrackingTarget, client: MlflowClient, spool: Spool
) -> None:
    small_sweep(spool)
    send(folder, target)
    assert send(folder, target).num_sent == 0


def test_a_run_started_again_is_the_same_run(
    folder: Path, target: TrackingTarget, client: MlflowClient, spool: Spool
) -> None:
    fill(spool, start(""), start("0"), metrics("0", ("a", 1.0, 1)), end("0", status="KILLED"))
    send(folder, target)
    before = runs_of(client)["first/cnn_ws_aux/0"].info
    assert before.status == "KILLED"
    fill(spool, start("0", time=5000), metrics("0", ("a", 2.0, 2)))
    send(folder, target)
    again = runs_of(client)["first/cnn_ws_aux/0"].info
    assert (again.run_id, again.status, again.start_time) == (before.run_id, "RUNNING", 1000)
    fill(spool, end("0", time=9000))
    send(folder, target)
    run = runs_of(client)["first/cnn_ws_aux/0"]
    assert (run.info.status, run.info.end_time) == ("FINISHED", 9000)
    assert [step for step, _, _ in history(client, run, "a")] == [1, 2]


def test_a_dead_driver_leaves_no_run_running(
    folder: Path, target: TrackingTarget, client: MlflowClient, spool: Spool
) -> None:
    fill(spool, start(""), start("0"), start("1"), end("0"))
    send(folder, target).finish(driver_died=True)
    statuses = {name: run.info.status for name, run in runs_of(client).items()}
    assert statuses == {
        "first/cnn_ws_aux": "KILLED",
        "first/cnn_ws_aux/0": "FINISHED",
        "first/cnn_ws_aux/1": "KILLED",
    }
    fill(spool, start(""))
    send(folder, target).finish(driver_died=False)
    assert runs_of(client)["first/cnn_ws_aux"].info.status == "RUNNING"


def test_limits_of_mlflow_are_kept(
    folder: Path, target: TrackingTarget, client: MlflowClient, spool: Spool
) -> None:
    params = {f"p{i:03}": "x" for i in range(150)} | {"long": "x" * 7000}
    fill(spool, start("", params=params, tags={f"t{i:03}": "x" for i in range(150)}))
    fill(spool, metrics("", *(("m", float(step), step) for step in range(2500))))
    fill(spool, metrics("", ("acc@1 (%)", 1.0, 1)))
    assert send(folder, target).progress.refused == 0
    run = runs_of(client)["first/cnn_ws_aux"]
    assert len(run.data.params) == 151
    assert len(run.data.params["long"]) == 6000
    assert len([tag for tag in run.data.tags if tag.startswith("t")]) == 150
    assert len(history(client, run, "m")) == 2500
    assert run.data.metrics["acc_1 ___"] == 1.0


def test_a_store_with_a_write_ahead_log_is_one_too(
    tmp_path: Path, folder: Path, target: TrackingTarget, client: MlflowClient, spool: Spool
) -> None:
    small_sweep(spool)
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        assert database.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",)
    send(folder, target)
    check_small_sweep(client)


def test_a_run_that_has_ended_has_its_files(
    tmp_path: Path,
    folder: Path,
    target: TrackingTarget,
    client: MlflowClient,
    spool: Spool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also if the first attempt to attach them fails."""
    (tmp_path / "rows.npz").write_bytes(b"rows")
    attach = {"op": "artifact", "run": "0", "path": str(tmp_path / "rows.npz"), "to": "held_out"}
    fill(spool, start(""), start("0"), metrics("0", ("a", 1.0, 1)), attach, end("0"), end(""))
    uploader = Uploader(folder, target)
    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_artifact", _away)
        with pytest.raises(RequestException):
            uploader.send_next()
        assert runs_of(client)["first/cnn_ws_aux/0"].info.status == "RUNNING"
    while uploader.send_next():
        pass
    run = runs_of(client)["first/cnn_ws_aux/0"]
    assert [f.path for f in client.list_artifacts(run.info.run_id, "held_out")] == [
        "held_out/rows.npz"
    ]
    assert run.info.status == "FINISHED"
    assert history(client, run, "a") == [(1, 1.0, 1501)]
    assert uploader.progress.refused == 0


def _away(*args: object) -> None:
    raise RequestException
