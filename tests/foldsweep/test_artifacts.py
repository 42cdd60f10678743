"""Artifacts of real MLflow stores that were moved or copied."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient, MlflowException
from mlflow.entities import Run

from foldsweep.artifacts import attach, moved_place
from foldsweep.tracking import artifacts_beside


@pytest.fixture
def project(tmp_path: Path, empty_mlflow: Path) -> Path:
    """Project with a store, a run and its artifact, in the folders that sweeps use."""
    folder = tmp_path / "project"
    folder.mkdir()
    shutil.copy(empty_mlflow, folder / "mlflow.db")
    made = client_of(folder).create_experiment(
        "my own", str(artifacts_beside(folder / "mlflow.db", "my own"))
    )
    client_of(folder).create_run(made)
    attached(folder, "kept")
    return folder


def client_of(folder: Path) -> MlflowClient:
    return MlflowClient(tracking_uri=uri_of(folder))


def uri_of(folder: Path) -> str:
    return f"sqlite:///{folder}/mlflow.db"


def run_of(folder: Path) -> Run:
    found = client_of(folder).get_experiment_by_name("my own")
    assert found is not None
    (run,) = client_of(folder).search_runs([found.experiment_id])
    return run


def place_of(folder: Path) -> Path | None:
    return moved_place(uri_of(folder), run_of(folder).info.artifact_uri)


def attached(folder: Path, name: str, to: str = "") -> None:
    file = folder.parent / name
    file.write_text(name)
    attach(client_of(folder), uri_of(folder), run_of(folder).info, file, to)


@pytest.mark.parametrize("make", [shutil.move, shutil.copytree], ids=["moved", "copied"])
def test_artifacts_are_where_their_database_went(
    make: Callable[[Path, Path], object], project: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    make(project, other)
    before = sorted(project.rglob("*"))
    place = place_of(other)
    assert place is not None
    assert place.is_relative_to(other)
    assert (place / "kept").read_text() == "kept"
    attached(other, "new", "deep/er")
    assert (place / "deep" / "er" / "new").read_text() == "new"
    assert sorted(project.rglob("*")) == before


def test_of_a_database_that_was_copied_alone_new_artifacts_are_here(
    project: Path, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    shutil.copy(project / "mlflow.db", tmp_path / "other")
    attached(tmp_path / "other", "new")
    (new,) = (tmp_path / "other" / "mlartifacts").rglob("new")
    assert new.read_text() == "new"
    assert not list(project.rglob("new"))


@pytest.mark.parametrize("to", ["../..", "/tmp"])
@pytest.mark.parametrize("moved", [True, False])
def test_nothing_is_written_outside_of_a_run_s_artifacts(
    project: Path, tmp_path: Path, to: str, moved: bool
) -> None:
    folder = project.rename(tmp_path / "moved") if moved else project
    with pytest.raises(MlflowException):
        attached(folder, "new", to)
    assert not list(folder.rglob("new"))


def test_a_place_that_somebody_chose_stays(project: Path, tmp_path: Path) -> None:
    for recorded in (str(tmp_path / "chosen"), "s3://bucket/mlartifacts/my_own", "", None):
        assert moved_place(uri_of(project), recorded) is None


def test_a_store_that_has_not_moved_is_left_alone(project: Path, tmp_path: Path) -> None:
    assert place_of(project) is None
    (tmp_path / "link").symlink_to(project)
    assert place_of(tmp_path / "link") is None
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone" / "mlflow.db").symlink_to(project / "mlflow.db")
    assert place_of(tmp_path / "alone") is None
    recorded = run_of(project).info.artifact_uri
    assert moved_place("http://127.0.0.1:1", recorded) is None
