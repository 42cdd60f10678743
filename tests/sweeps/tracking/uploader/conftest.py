"""Fixtures: a sweep's spool, and a real SQLite store, as tracking servers also use."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from mlflow import MlflowClient

from sweeps.tracking.spool import SPOOL_FILE, Spool, TrackingTarget


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "runs" / "first" / "cnn_ws_aux"
    folder.mkdir(parents=True)
    journal = optuna.storages.journal.JournalFileBackend(str(folder / "study.journal"))
    storage = optuna.storages.JournalStorage(journal)
    optuna.create_study(study_name="first/cnn_ws_aux", storage=storage)
    return folder


@pytest.fixture
def target(tmp_path: Path, empty_mlflow: Path) -> TrackingTarget:
    shutil.copy(empty_mlflow, tmp_path / "mlflow.db")
    return TrackingTarget(
        tracking_uri=f"sqlite:///{tmp_path}/mlflow.db",
        experiment="digits",
        sweep="first/cnn_ws_aux",
        study_storage="study.journal",
        study_name="first/cnn_ws_aux",
    )


@pytest.fixture
def client(target: TrackingTarget) -> MlflowClient:
    return MlflowClient(tracking_uri=target.tracking_uri)


@pytest.fixture
def spool(folder: Path) -> Iterator[Spool]:
    spool = Spool(folder / SPOOL_FILE)
    yield spool
    spool.close()
