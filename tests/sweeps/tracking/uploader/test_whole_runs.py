"""Runs that begin and end between two reads of the spool."""

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from mlflow import MlflowClient, MlflowException

from foldsweep import names
from sweeps import replay
from sweeps.tracking import uploader
from sweeps.tracking.spool import CLOSE, DRIVER_LOCK, Spool, TrackingTarget
from sweeps.tracking.uploader import Uploader
from tests.refusals import refused
from tests.sweeps.tracking.uploader.records import (
    DATASET,
    datasets,
    end,
    fill,
    history,
    runs_of,
    send,
    start,
)

CALLS = ("create_run", "log_batch", "log_inputs", "set_terminated", "update_run", "get_run")
SWEEP = "first/cnn_ws_aux"


def points(*of_run: list[Any]) -> dict[str, Any]:
    return {"op": "metrics", "run": "0", "points": list(of_run)}


RECORDS = [
    start("", params={"seed": "0"}, dataset=DATASET),
    start(
        "0",
        params={"lr": "0.1", "note": "x" * 7000},
        tags={"space": "mlp", "mlflow.user": "me"},
        dataset=DATASET,
    ),
    points(["acc", 0.5, 1, 1100], ["acc", 0.6, 2, 1100]),
    points(["acc", 0.6, 2, 1100], ["loss", math.nan, 1, 1100], ["up", math.inf, 2, 1200]),
    points(["late", 1, 3, 900], ["late", 2, 1, 1900], ["o%dd", 2.0, 1, 1900]),
    {"op": "tags", "run": "0", "tags": {"space": "cnn", "foldsweep.state": "COMPLETE"}},
    end("0"),
    start("1"),
    {"op": "tags", "run": "1", "tags": {"foldsweep.state": "PRUNED"}},
    end("1", status="FINISHED"),
    start("2"),  # still running
    start("3", params={"ok": "1", "": "no name"}),  # partly refused
    end("3", status="FAILED"),
    end(""),
    CLOSE,
]


def test_a_run_arrives_with_all_that_belongs_to_it(
    folder: Path, target: TrackingTarget, client: MlflowClient, spool: Spool
) -> None:
    fill(spool, *RECORDS)
    sent = send(folder, target)
    assert sent.progress.refused == 1
    assert sent.num_sent == len(RECORDS) - 1
    runs = runs_of(client)
    states = [runs[f"{SWEEP}/{n}"].info.status for n in range(4)]
    assert states == ["FINISHED", "FINISHED", "RUNNING", "FAILED"]
    assert runs[f"{SWEEP}/1"].data.tags["foldsweep.state"] == "PRUNED"
    assert runs[f"{SWEEP}/3"].data.params == {"ok": "1"}
    run = runs[f"{SWEEP}/0"]
    assert (run.info.run_name, run.info.start_time, run.info.end_time) == ("run 0", 1000, 2000)
    assert run.data.params == {"lr": "0.1", "note": "x" * 6000}
    assert {"space": "cnn", "mlflow.user": "me", "foldsweep.state": "COMPLETE"}.items() <= (
        run.data.tags.items()
    )
    assert run.data.tags["mlflow.parentRunId"] == runs[SWEEP].info.run_id
    assert history(client, run, "acc") == [(1, 0.5, 1100), (2, 0.6, 1100)]
    assert (run.data.metrics["late"], run.data.metrics["o_dd"]) == (1, 2)
    assert math.isnan(run.data.metrics["loss"])
    assert run.data.metrics["up"] > 1e308
    (given,) = datasets(run)
    assert (given.dataset.name, given.dataset.digest) == ("digits", "0123abcd")
    assert [(tag.key, tag.value) for tag in given.tags] == [("mlflow.data.context", "training")]


def test_metrics_are_offered_in_the_order_they_came_in(
    folder: Path, target: TrackingTarget, client: MlflowClient, spool: Spool
) -> None:
    fill(spool, *RECORDS)
    send(folder, target)
    assert list(runs_of(client)[f"{SWEEP}/0"].data.metrics) == [
        "acc",
        "loss",
        "up",
        "late",
        "o_dd",
    ]


def test_a_run_takes_four_calls(
    folder: Path, target: TrackingTarget, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call is at least one transaction, and the end of a sweep waits for it."""
    fill(spool, start(""))
    sending = Uploader(folder, target)
    sending.send_next()
    made: Counter[str] = Counter()
    for name in CALLS:
        real = getattr(MlflowClient, name)

        def counted(*args: Any, name: str = name, real: Any = real, **more: Any) -> Any:
            made[name] += 1
            return real(*args, **more)

        monkeypatch.setattr(MlflowClient, name, counted)
    fill(spool, *RECORDS[1:7])
    sending.send_next()
    assert made == {"create_run": 1, "log_batch": 1, "log_inputs": 1, "set_terminated": 1}


def test_an_uploader_rests_only_when_it_has_caught_up(
    folder: Path, target: TrackingTarget, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of the sweep waits for records that are sent later."""
    monkeypatch.setattr(uploader, "RECORDS_PER_STEP", 7)
    rests: list[float] = []
    monkeypatch.setattr(replay, "_pause", lambda path, seconds: rests.append(seconds))
    target.save(folder)
    fill(spool, *RECORDS)
    assert len(RECORDS) == 15
    with FileLock(folder / DRIVER_LOCK):
        replay.follow(folder)
    assert len(rests) == 1


def test_nothing_goes_into_an_experiment_that_was_deleted_meanwhile(
    folder: Path,
    target: TrackingTarget,
    client: MlflowClient,
    spool: Spool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(uploader, "RECORDS_PER_STEP", 7)
    fill(spool, *RECORDS)
    sending = Uploader(folder, target)
    sending.send_next()
    experiment = client.get_experiment_by_name("digits")
    assert experiment is not None
    client.delete_experiment(experiment.experiment_id)
    with pytest.raises(MlflowException):
        sending.send_next()
    with refused("uploader.experiment-deleted", experiment="digits"):
        sending.send_next()
    client.restore_experiment(experiment.experiment_id)
    while sending.send_next():
        pass
    assert len(runs_of(client)) == 5


@pytest.mark.parametrize("ended", [True, False])
def test_state_is_whole_however_long(
    folder: Path, target: TrackingTarget, client: MlflowClient, spool: Spool, ended: bool
) -> None:
    """It has more parts than MLflow accepts tags per call; text for people is truncated."""
    config = json.dumps({"weights": list(range(100_000))})
    tags = {names.TAG_CONFIG: config, "note": "x" * 9000}
    fill(spool, start(""), start("0", params={"weights": "1" * 9000}, tags=tags))
    fill(spool, *[end("0")] * ended)
    assert send(folder, target).progress.refused == 0
    run = runs_of(client)[f"{SWEEP}/0"]
    assert names.whole_tag(run.data.tags, names.TAG_CONFIG) == config
    assert len(run.data.tags["note"]) == 8000
    assert len(run.data.params["weights"]) == 6000
