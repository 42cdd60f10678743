"""Run ids that the uploader stores in the study."""

import socket
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from mlflow import MlflowClient

from sweeps import retries
from sweeps.tracking.spool import CLOSE, Spool, TrackingTarget
from tests.sweeps.tracking.uploader.records import (
    check_small_sweep,
    fill,
    runs_of,
    send,
    small_sweep,
    start,
)


def test_run_ids_are_in_the_study(
    folder: Path, target: TrackingTarget, client: MlflowClient, spool: Spool
) -> None:
    small_sweep(spool)
    send(folder, target)
    journal = optuna.storages.journal.JournalFileBackend(str(folder / "study.journal"))
    study = optuna.load_study(
        study_name="first/cnn_ws_aux", storage=optuna.storages.JournalStorage(journal)
    )
    runs = runs_of(client)
    for run in ("", "0", "1"):
        run_id = runs[target.run_key(run)].info.run_id
        assert study.user_attrs[target.run_attribute(run)] == run_id


def test_a_study_in_a_database_has_the_id_of_the_sweep_s_run_only(
    folder: Path, target: TrackingTarget, client: MlflowClient, spool: Spool, tmp_path: Path
) -> None:
    """Each id would cost a transaction; the other runs are found by their tags."""
    url = f"sqlite:///{tmp_path}/study.db"
    study = optuna.create_study(study_name="first/cnn_ws_aux", storage=url)
    small_sweep(spool)
    send(folder, replace(target, study_storage=url))
    run_id = runs_of(client)[target.run_key("")].info.run_id
    assert study.user_attrs == {target.run_attribute(""): run_id}


def test_what_the_study_notes_is_read_once_however_many_runs_there_are(
    folder: Path, target: TrackingTarget, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Optuna copies all attributes at each access, and the sweep waits for the journal."""
    looked = []
    attributes = optuna.Study.user_attrs
    monkeypatch.setattr(
        optuna.Study,
        "user_attrs",
        property(lambda study: looked.append(study) or attributes.fget(study)),
    )
    small_sweep(spool)
    send(folder, target)
    send(folder, target)  # all ids are stored already
    assert len(looked) == 2


@pytest.mark.parametrize(
    "storage", ["gone.journal", "sqlite:////nowhere/at/all.db", "nonsense://"]
)
def test_a_study_that_is_gone_does_not_stop_the_upload(
    folder: Path, target: TrackingTarget, client: MlflowClient, spool: Spool, storage: str
) -> None:
    small_sweep(spool)
    send(folder, replace(target, study_storage=storage))
    check_small_sweep(client)
    assert not (folder / "gone.journal").exists()


@pytest.mark.parametrize(
    "storage",
    [
        "postgresql://user:secret@127.0.0.1:1/studies",
        "nonsense://user:secret@127.0.0.1:1/studies",
        "user:secret@127.0.0.1:1://studies",
        "user:secret@127.0.0.1:1/studies",
        "sqlite:////nowhere/at/all.db?password=secret",
    ],
)
def test_a_study_that_does_not_open_is_logged_without_its_password(
    folder: Path,
    target: TrackingTarget,
    spool: Spool,
    storage: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    fill(spool, start(""), CLOSE)
    send(folder, replace(target, study_storage=storage))
    (warning,) = [text for text in caplog.messages if text.startswith("no study")]
    assert warning.startswith("no study 'first/cnn_ws_aux' in ")
    assert "secret" not in warning


@pytest.mark.slow
def test_a_database_that_says_nothing_does_not_hold_up_the_upload(
    folder: Path,
    target: TrackingTarget,
    client: MlflowClient,
    spool: Spool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("psycopg")
    monkeypatch.setitem(retries.POSTGRES, "connect_timeout", 2)
    small_sweep(spool)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        send(folder, replace(target, study_storage=f"postgresql+psycopg://u@127.0.0.1:{port}/x"))
    check_small_sweep(client)
