"""Other sweeps and experiments with the same or a similar name."""

from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from sweeps.tracking.spool import CURSOR_FILE, RUN_TAG, Spool, TrackingTarget, read_progress
from sweeps.tracking.uploader import Uploader
from tests.refusals import refused, text
from tests.sweeps.tracking.uploader.records import (
    check_small_sweep,
    history,
    runs_of,
    send,
    small_sweep,
)


@pytest.mark.parametrize("sweep", ["first/cnn_ws_aux", "it's/50%_x"])
def test_sweeps_of_similar_names_are_kept_apart(
    folder: Path, target: TrackingTarget, client: MlflowClient, spool: Spool, sweep: str
) -> None:
    small_sweep(spool)
    for name in (sweep, f"{sweep}2", sweep.replace("/", "_")):
        send(folder, replace(target, sweep=name))
        (folder / CURSOR_FILE).unlink()
        send(folder, replace(target, sweep=name))
        (folder / CURSOR_FILE).unlink()
    assert len(runs_of(client)) == 9


def test_a_deleted_experiment_is_named(
    folder: Path, target: TrackingTarget, client: MlflowClient, spool: Spool
) -> None:
    small_sweep(spool)
    client.delete_experiment(client.create_experiment("digits"))
    with refused("uploader.experiment-deleted", experiment="digits"):
        send(folder, target)
    said = text("uploader.experiment-deleted", experiment="digits")
    assert said in read_progress(folder, target.server).problem
    assert read_progress(folder, target.server).offset == 0


def test_an_experiment_made_by_someone_else_meanwhile_is_used(
    folder: Path,
    target: TrackingTarget,
    client: MlflowClient,
    spool: Spool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small_sweep(spool)
    client.create_experiment("digits")
    look_up = MlflowClient.get_experiment_by_name
    answers = iter([lambda client, name: None])
    monkeypatch.setattr(
        MlflowClient,
        "get_experiment_by_name",
        lambda client, name: next(answers, look_up)(client, name),
    )
    assert Uploader(folder, target).send_next() == 13
    check_small_sweep(client)


def uuids_of(client: MlflowClient) -> dict[tuple[str, str], Run]:
    """Active runs by tag and UUID; a duplicate run fails the test."""
    found = client.get_experiment_by_name("digits")
    assert found is not None
    runs = client.search_runs([found.experiment_id])
    named = {(r.data.tags[RUN_TAG], r.data.tags.get("foldsweep.uuid", "")): r for r in runs}
    assert len(named) == len(runs)
    return named


@pytest.mark.parametrize("other", ["", "1111"])
def test_a_sweep_of_the_same_name_is_left_alone(
    other: str, folder: Path, target: TrackingTarget, client: MlflowClient, spool: Spool
) -> None:
    """This includes a sweep of an earlier version, which has no UUID."""
    small_sweep(spool)
    for _ in range(2):
        for uuid in (other, "2222"):
            (folder / CURSOR_FILE).unlink(missing_ok=True)
            send(folder, replace(target, uuid=uuid))
    runs = uuids_of(client)
    assert len(runs) == 6
    for uuid in (other, "2222"):
        parent = runs["first/cnn_ws_aux", uuid]
        for trial in "01":
            run = runs[f"first/cnn_ws_aux/{trial}", uuid]
            assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
            assert len(history(client, run, "val_accuracy")) == 3
