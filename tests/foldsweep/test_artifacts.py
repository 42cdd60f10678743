"""Artifacts of real stores that are moved and copied."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from foldsweep.artifacts import follow_database
from foldsweep.tracking import artifacts_beside

Made = tuple[MlflowClient, str]


@pytest.fixture
def project(tmp_path: Path, empty_mlflow: Path) -> Path:
    """A store with a run that has an artifact, where sweeps put it."""
    folder = tmp_path / "project"
    folder.mkdir()
    shutil.copy(empty_mlflow, folder / "mlflow.db")
    client = client_of(folder)
    made = client.create_experiment(
        "my own", str(artifacts_beside(folder / "mlflow.db", "my own"))
    )
    run = client.create_run(made)
    client.log_text(run.info.run_id, "kept", "task.txt")
    return folder


def client_of(folder: Path) -> MlflowClient:
    return MlflowClient(tracking_uri=f"sqlite:///{folder}/mlflow.db")


def follow(folder: Path) -> bool:
    found = client_of(folder).get_experiment_by_name("my own")
    assert found is not None
    return follow_database(f"sqlite:///{folder}/mlflow.db", found)


def files(folder: Path) -> list[Path]:
    """Where artifacts are that are read, and where new ones go."""
    client = client_of(folder)
    found = client.get_experiment_by_name("my own")
    assert found is not None
    (run,) = client.search_runs([found.experiment_id])
    new = client.create_run(found.experiment_id)
    client.log_text(new.info.run_id, "new", "task.txt")
    places = [Path(of.info.artifact_uri or "") / "task.txt" for of in (run, new)]
    assert [place.read_text() for place in places] == ["kept", "new"]
    return places


@pytest.mark.parametrize("make", [shutil.move, shutil.copytree], ids=["moved", "copied"])
def test_artifacts_go_where_their_database_went(
    make: Callable[[Path, Path], object], project: Path, tmp_path: Path
) -> None:
    make(project, tmp_path / "other")
    before = sorted(project.rglob("*"))
    assert follow(tmp_path / "other")
    assert not follow(tmp_path / "other")
    assert all(path.is_relative_to(tmp_path / "other") for path in files(tmp_path / "other"))
    assert sorted(project.rglob("*")) == before


def test_of_a_database_that_was_copied_alone_only_new_artifacts_are_here(
    project: Path, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    shutil.copy(project / "mlflow.db", tmp_path / "other")
    assert follow(tmp_path / "other")
    old, new = files(tmp_path / "other")
    assert old.is_relative_to(project)
    assert new.is_relative_to(tmp_path / "other")


def test_a_place_that_somebody_chose_stays(project: Path, tmp_path: Path) -> None:
    client = client_of(project)
    client.rename_experiment("1", "other")
    client.create_experiment("my own", str(tmp_path / "chosen"))
    moved = project.rename(tmp_path / "moved")
    assert not follow(moved)


def test_a_store_that_has_not_moved_is_left_alone(project: Path, tmp_path: Path) -> None:
    assert not follow(project)
    (tmp_path / "link").symlink_to(project)
    assert not follow(tmp_path / "link")
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone" / "mlflow.db").symlink_to(project / "mlflow.db")
    assert not follow(tmp_path / "alone")
    client = client_of(project)
    found = client.get_experiment_by_name("my own")
    assert found is not None
    assert not follow_database("http://127.0.0.1:1", found)
