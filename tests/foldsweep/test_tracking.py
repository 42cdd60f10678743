from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from analysis.export import ExportSettings
from analysis.selection import Selection
from analysis.ui import UiSettings
from foldsweep.programs import parse
from foldsweep.tracking import (
    DEFAULT_URI,
    absolute_uri,
    default_experiment,
    shown,
    sqlite_path,
    sqlite_uri,
    store_options,
    tracking_uri,
)
from sweeps.reproduction.settings import ReproduceSettings
from sweeps.settings import SweepSettings


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


@pytest.mark.parametrize("folder", ["a?b", "a#b", "a%20b", "a%b", "ü 中", 'it\'s "x"', "a@b"])
def test_the_default_store_is_in_this_folder_whatever_it_is_called(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / folder
    here.mkdir()
    monkeypatch.chdir(here)
    for uri in (
        tracking_uri(None),
        absolute_uri("sqlite:///mlflow.db"),
        sqlite_uri(here / "s.db"),
    ):
        path = sqlite_path(uri)
        assert path is not None
        assert path.parent == here
        assert absolute_uri(uri) == uri == shown(uri)
        assert make_url(uri).database == str(path)
        assert not make_url(uri).query


def test_options_of_a_uri_stay() -> None:
    assert absolute_uri("sqlite:///m.db?timeout=9").endswith("/m.db?timeout=9")
    assert sqlite_path("postgresql://u@h/db") is None


def test_the_experiment_may_be_named_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_experiment() == "foldsweep"
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "")
    assert default_experiment() == "foldsweep"
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    assert default_experiment() == "mine"
    assert store_options(tracking_uri(None), "mine") == []
    assert store_options(tracking_uri(None), "foldsweep") == ["--experiment", "foldsweep"]


def test_every_program_with_an_experiment_reads_it_in_one_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    kinds = (SweepSettings, ReproduceSettings, Selection, ExportSettings, UiSettings)
    for kind in kinds:
        assert parse(kind, [], prog="x.py").experiment == "mine", kind
        assert parse(kind, ["--experiment", "given"], prog="x.py").experiment == "given"


def test_help_names_the_variable(capsys: pytest.CaptureFixture[str]) -> None:
    for kind in (SweepSettings, ReproduceSettings, Selection, ExportSettings, UiSettings):
        with pytest.raises(SystemExit):
            parse(kind, ["--help"], prog="x.py")
        assert "MLFLOW_EXPERIMENT_NAME" in capsys.readouterr().out
