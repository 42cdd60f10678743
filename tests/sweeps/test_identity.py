"""Identity of sweeps that are moved or copied, with their project, within it, or alone."""

import shutil
from pathlib import Path

import pytest

from sweeps.identity import Identity, portable, resolved


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    (folder / "runs" / "first").mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def made(project: Path) -> Identity:
    return Identity.new(project / "runs" / "first")


def test_every_sweep_has_a_uuid_of_its_own(project: Path, made: Identity) -> None:
    assert made.uuid != Identity.new(project / "runs" / "first").uuid
    assert (made.folder, made.project) == (project / "runs" / "first", project)
    assert Identity.of(made.to_dict(), Path("elsewhere")) == made


def test_a_sweep_without_a_record_is_of_an_earlier_version(project: Path) -> None:
    found = Identity.of({}, project / "runs" / "first")
    assert (found.uuid, found.folder) == ("", project / "runs" / "first")


@pytest.mark.parametrize("how", ["moved", "copied"])
def test_a_project_is_where_it_was_moved_or_copied_to(
    how: str, project: Path, made: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    there = tmp_path / "deep" / "other"
    there.parent.mkdir()
    (shutil.move if how == "moved" else shutil.copytree)(project, there)
    found = made.at(there / "runs" / "first")
    assert (found.uuid, found.folder) == (made.uuid, there / "runs" / "first")
    assert found.project == there


def test_a_sweep_that_moves_within_its_project_keeps_it(project: Path, made: Identity) -> None:
    (project / "archive" / "2026").mkdir(parents=True)
    moved = (project / "runs" / "first").rename(project / "archive" / "2026" / "first")
    assert made.at(moved).project == project


def test_a_sweep_outside_of_its_project_goes_on_there_or_else_here(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "scratch" / "first"
    folder.mkdir(parents=True)
    made = Identity.new(folder)
    monkeypatch.chdir(tmp_path)
    assert made.at(folder).project == project
    moved = project.rename(tmp_path / "moved")
    monkeypatch.chdir(moved)
    assert made.at(folder).project == moved


@pytest.mark.parametrize(
    ("path", "stored"),
    [
        ("/a/project/mlflow.db", "./mlflow.db"),
        ("sqlite:////a/project/mlflow.db", "sqlite:///./mlflow.db"),
        ("/a/project/code/mine.py", "./code/mine.py"),
        ("/a/other/data.csv", "/a/other/data.csv"),
        ("/a/project2/data.csv", "/a/project2/data.csv"),
        ("/a/project/../data.csv", "/a/project/../data.csv"),
        ("sqlite:////a/other/mlflow.db", "sqlite:////a/other/mlflow.db"),
        ("http://host:5000", "http://host:5000"),
        ("iris", "iris"),
        ("study.journal", "study.journal"),
    ],
)
def test_only_what_is_inside_the_project_is_stored_relative(path: str, stored: str) -> None:
    assert portable(path, Path("/a/project")) == stored
    assert resolved(stored, Path("/a/project")) == path
    inside = path.replace("/a/project/", "/b/") if stored != path else path
    assert resolved(stored, Path("/b")) == inside
