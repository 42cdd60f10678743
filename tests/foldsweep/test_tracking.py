from pathlib import Path

import pytest
from mlflow import MlflowClient, MlflowException
from sqlalchemy.engine import make_url
from sqlalchemy.exc import NoSuchModuleError

from analysis.export import ExportSettings
from analysis.selection import Selection
from analysis.ui import UiSettings
from foldsweep.programs import parse
from foldsweep.tracking import (
    DATABASES,
    DEFAULT_URI,
    absolute_uri,
    check_store,
    check_uri,
    default_experiment,
    portable_uri,
    shown,
    sqlite_path,
    sqlite_uri,
    store_options,
    tracking_uri,
)
from sweeps.reproduction.settings import ReproduceSettings
from sweeps.settings import SweepSettings
from tests.refusals import refused


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
    assert absolute_uri("sqlite:///some/../some/mlflow.db") == uri
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


@pytest.mark.parametrize(
    ("uri", "kind", "said"),
    [
        ("here", "uri-not-absolute", ""),
        ("ftp://x", "scheme-unknown", "ftp"),
        ("s3://bucket/mlflow", "scheme-unknown", "s3"),
        ("redis://host:6379", "scheme-unknown", "redis"),
        ("mlflow-artifacts:/x", "scheme-unknown", "mlflow-artifacts"),
        ("sqlite://", "scheme-unknown", "sqlite"),
        ("http://", "host-missing", ""),
        ("https:///path", "host-missing", ""),
        ("http://:5000", "host-missing", ""),
        ("http://my host:5000", "host-missing", ""),
        ("http://h:99999999", "uri-invalid", "Port out of range"),
        ("http://h:abc", "uri-invalid", "Port could not be cast"),
        ("http://h:-1", "uri-invalid", "Port"),
        ("http://h:0", "port-zero", ""),
        ("http://[::1", "uri-invalid", "Invalid IPv6 URL"),
        ("file:///tmp/mlruns", "scheme-unknown", "file"),
    ],
)
def test_a_uri_that_can_never_work_is_refused_in_one_line(uri: str, kind: str, said: str) -> None:
    with refused(f"tracking.{kind}", uri=uri) as caught:
        check_uri(uri)
    values = caught.value.values
    assert str(values.get("scheme", values.get("reason", ""))).startswith(said)
    assert "\n" not in str(caught.value)


def test_a_refused_uri_shows_no_password() -> None:
    with refused("tracking.scheme-unknown", uri="ftp://***@host") as caught:
        check_uri("ftp://user:s3cr3t@host")
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    "uri",
    [
        "http://h",
        "https://u:p@h:65535/path",
        "http://[::1]:5000",
        "postgresql+psycopg://u@h/db",
        "databricks",
        "databricks://profile",
        "sqlite:////a/m.db",
    ],
)
def test_a_uri_that_may_work_is_taken(uri: str) -> None:
    check_uri(uri)


def test_file_stores_are_taken_where_mlflow_takes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    check_uri("file:///tmp/mlruns")


@pytest.mark.parametrize(
    ("scheme", "known"), [*((each, True) for each in DATABASES), ("db2", False)]
)
def test_databases_are_those_of_mlflow(scheme: str, known: bool) -> None:
    with pytest.raises(
        (MlflowException, NoSuchModuleError)
    ) as failed:  # the latter if the driver is missing
        MlflowClient(tracking_uri=f"{scheme}+nothing://127.0.0.1:1/x")
    assert ("unsupported URI" in str(failed.value)) == (not known)


@pytest.mark.parametrize(
    ("path", "kind", "reason"),
    [
        ("", "store-is-a-folder", None),
        ("/text", "store-not-sqlite", None),
        ("/text/mlflow.db", "store-not-writable", "Not a directory"),
        (
            "/../../../../../../../../proc/none/mlflow.db",
            "store-not-writable",
            "No such file or directory",
        ),
    ],
)
def test_a_file_that_can_take_no_record_is_refused(
    here: Path, path: str, kind: str, reason: str | None
) -> None:
    (here / "text").write_text("no database, but more than sixteen bytes")
    why = {} if reason is None else {"reason": reason}
    with refused(f"tracking.{kind}", path=f"{here}{path}", **why) as caught:
        check_store(f"sqlite:///{here}{path}")
    assert "\n" not in str(caught.value)
    assert [p.name for p in here.iterdir()] == ["text"]


def test_a_store_is_not_made_by_looking_at_it(here: Path) -> None:
    (here / "empty.db").touch()
    check_store(f"sqlite:///{here}/empty.db")
    check_store(f"sqlite:///{here}/new/folder/mlflow.db")
    check_store("http://127.0.0.1:1")  # the server may start later
    assert [p.name for p in here.iterdir()] == ["empty.db"]


def test_a_database_without_its_driver_is_refused() -> None:
    with refused("tracking.driver-unusable", uri="mssql://***@h/db") as caught:
        check_store("mssql://u:p@h/db")
    assert str(caught.value.values["reason"]).startswith("No module")


def test_a_store_in_this_folder_is_named_relative_to_it(here: Path) -> None:
    assert portable_uri(f"sqlite:///{here}/some/m.db") == "sqlite:///some/m.db"
    assert absolute_uri(portable_uri(f"sqlite:///{here}/m.db")) == f"sqlite:///{here}/m.db"
    for uri in (f"sqlite:///{here.parent}/m.db", "http://h:1"):
        assert portable_uri(uri) == uri
