"""Stores that fail, are away, or have lost their contents."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient, MlflowException
from mlflow.entities import ViewType

from sweeps.tracking.spool import REJECTED_FILE, RUN_TAG, Spool, TrackingTarget, read_progress
from sweeps.tracking.uploader import Uploader
from tests.sweeps.tracking.uploader.records import check_small_sweep, runs_of, send, small_sweep


def test_another_server_gets_its_own_copy(
    tmp_path: Path, folder: Path, target: TrackingTarget, spool: Spool, empty_mlflow: Path
) -> None:
    small_sweep(spool)
    shutil.copy(empty_mlflow, tmp_path / "other.db")
    other = replace(target, tracking_uri=f"sqlite:///{tmp_path}/other.db")
    for each in (target, other):
        send(folder, each)
    for each in (target, other):
        check_small_sweep(MlflowClient(tracking_uri=each.tracking_uri))
    assert target.run_attribute("0") != other.run_attribute("0")


def test_a_server_that_lost_everything_gets_everything(
    folder: Path, target: TrackingTarget, client: MlflowClient, spool: Spool
) -> None:
    small_sweep(spool)
    send(folder, target)
    for run in runs_of(client).values():
        client.delete_run(run.info.run_id)
    send(folder, target)
    check_small_sweep(client)


def test_a_run_left_by_a_lost_answer_is_removed(
    folder: Path, target: TrackingTarget, client: MlflowClient, spool: Spool
) -> None:
    small_sweep(spool)
    send(folder, target)
    experiment_id = runs_of(client)["first/cnn_ws_aux"].info.experiment_id
    empty = client.create_run(experiment_id, tags={RUN_TAG: "first/cnn_ws_aux/0"}).info.run_id
    send(folder, target)
    check_small_sweep(client)
    assert client.get_run(empty).info.lifecycle_stage == "deleted"


def test_a_database_that_cannot_be_opened_is_tried_again(
    tmp_path: Path,
    folder: Path,
    target: TrackingTarget,
    spool: Spool,
    empty_mlflow: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # else MLflow's retries take 102 s
    small_sweep(spool)
    database = tmp_path / "later.db"
    database.mkdir()
    uploader = Uploader(folder, replace(target, tracking_uri=f"sqlite:///{database}"))
    with pytest.raises(Exception, match="unable to open database file"):
        uploader.send_next()
    database.rmdir()
    shutil.copy(empty_mlflow, database)
    assert uploader.send_next() == 13
    check_small_sweep(MlflowClient(tracking_uri=f"sqlite:///{database}"))


@pytest.mark.parametrize("call", ["create_run", "log_batch", "log_inputs", "set_terminated"])
@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_a_failure_at_any_call_is_mended_by_the_next_try(
    folder: Path,
    target: TrackingTarget,
    client: MlflowClient,
    spool: Spool,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    before: bool,
) -> None:
    """The call fails three times in a row, before or after the server has done its work."""
    small_sweep(spool)
    uploader = Uploader(folder, target)
    real: Callable[..., object] = getattr(MlflowClient, call)
    failures = iter(range(3))

    def failing(*args: object, **kwargs: object) -> object:
        must_fail = next(failures, None) is not None
        if must_fail and before:
            raise MlflowException("API request failed")
        answer = real(*args, **kwargs)
        if must_fail:
            raise MlflowException("API request failed with timeout exception")
        return answer

    monkeypatch.setattr(MlflowClient, call, failing)
    for _ in range(3):
        with pytest.raises(MlflowException):
            uploader.send_next()
        assert read_progress(folder, target.server).problem.startswith("API request failed")
    assert uploader.send_next() == 13
    uploader.finish(driver_died=False)
    check_small_sweep(client)
    assert read_progress(folder, target.server).problem == ""
    deleted = client.search_runs(["1"], run_view_type=ViewType.DELETED_ONLY)
    assert not deleted


def test_a_server_that_is_away_sets_nothing_aside(
    folder: Path, target: TrackingTarget, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_sweep(spool)
    uploader = Uploader(folder, target)

    def away(*_: object) -> None:
        raise ValueError("the server answers in HTML")

    with monkeypatch.context() as patch:
        patch.setattr(Uploader, "_send_run", away)
        for _ in range(3):
            with pytest.raises(ValueError, match="HTML"):
                uploader.send_next()
    assert not (folder / REJECTED_FILE).exists()
    assert uploader.progress.offset == 0
    assert send(folder, target).num_sent > 0
