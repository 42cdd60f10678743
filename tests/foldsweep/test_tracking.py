from pathlib import Path

import pytest

from foldsweep.tracking import DEFAULT_URI, absolute_uri, shown, store_options, tracking_uri


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_a_word_it_is_a_file_in_this_folder(here: Path) -> None:
    assert tracking_uri(None) == f"sqlite:///{here}/mlflow.db" == absolute_uri(DEFAULT_URI)


def test_the_command_line_comes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://environment:5000")
    assert tracking_uri(None) == "http://environment:5000"
    assert tracking_uri("http://given:5000") == "http://given:5000"


def test_an_empty_environment_is_none(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    assert tracking_uri(None) == f"sqlite:///{here}/mlflow.db"


@pytest.mark.parametrize(
    "uri", ["http://host:5000", "databricks", "postgresql://u@h/db", "sqlite:////folder/mlflow.db"]
)
def test_what_is_absolute_stays(uri: str) -> None:
    assert absolute_uri(uri) == uri


def test_a_relative_file_means_the_same_from_elsewhere(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = absolute_uri("sqlite:///some/mlflow.db")
    assert uri == f"sqlite:///{here}/some/mlflow.db"
    monkeypatch.chdir("/")
    assert absolute_uri(uri) == uri


def test_only_a_store_that_is_not_the_one_here_needs_options(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store_options(f"sqlite:///{here}/mlflow.db", "foldsweep") == []
    assert store_options(f"sqlite:///{here}/mlflow.db", "my own") == ["--experiment", "my own"]
    assert store_options("http://u:secret@host", "foldsweep") == [
        *("--tracking-uri", "http://***@host")
    ]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://u:secret@host")
    assert store_options("http://u:secret@host", "foldsweep") == []


def test_text_for_people_holds_no_password() -> None:
    text = "http://user:secret@host:1/x and postgresql://u:p@h/db, sqlite:////a/b.db, a@b"
    assert shown(text) == "http://***@host:1/x and postgresql://***@h/db, sqlite:////a/b.db, a@b"
