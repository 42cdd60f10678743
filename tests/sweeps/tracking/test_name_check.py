"""Sweep names that exist already in MLflow: a real store, and the process that checks it."""

import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient

from sweeps.tracking.name_check import NameCheck, found
from tests.refusals import refused, said_as


@pytest.fixture
def uri(tmp_path: Path, empty_mlflow: Path) -> str:
    """URI of a store with two sweeps and an evaluation, in an experiment of their own."""
    shutil.copy(empty_mlflow, tmp_path / "mlflow.db")
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")
    experiment = client.create_experiment("digits")
    for sweep, kind in (
        ("first/mlp", "sweep"),
        ("se_ond/mlp", "sweep"),
        ("third/mlp", "evaluation"),
    ):
        tags = {"foldsweep.sweep": sweep, "foldsweep.kind": kind, "foldsweep.uuid": "0123456789"}
        client.create_run(experiment, tags=tags, start_time=1000)
    return f"sqlite:///{tmp_path}/mlflow.db"


@pytest.mark.parametrize("name", ["first", "se_ond"])
def test_a_name_is_taken_whatever_the_space(uri: str, name: str) -> None:
    taken = found(uri, "digits", name)["taken"]
    assert taken.startswith(f"{name}/mlp of 1970-01-01 ")
    assert taken.endswith(" (01234567)")


@pytest.mark.parametrize("name", ["firs", "first2", "second", "third", "mlp"])
def test_another_name_is_free(uri: str, name: str) -> None:
    assert found(uri, "digits", name) == {}


def test_names_are_taken_in_an_experiment(uri: str) -> None:
    assert found(uri, "other", "first") == {}
    client = MlflowClient(tracking_uri=uri)
    known = client.get_experiment_by_name("digits")
    assert known is not None
    client.delete_experiment(known.experiment_id)
    assert found(uri, "digits", "first") == {"deleted": True}


@pytest.mark.slow
@pytest.mark.integration
def test_the_process_that_asks_is_waited_for(
    uri: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (
        NameCheck(uri, "digits", "first") as names,
        refused("name-check.name-taken", uri=uri, name="first", experiment="digits"),
    ):
        names.refuse()
    with NameCheck("http://127.0.0.1:1", "digits", "first") as names:
        names.refuse()
    no_answer = said_as("name-check.no-answer", uri="http://127.0.0.1:1")
    assert no_answer.search(capsys.readouterr().out)
    (tmp_path / "damaged.db").write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    damaged = f"sqlite:///{tmp_path}/damaged.db"
    with (
        NameCheck(damaged, "digits", "first") as names,
        refused("name-check.store-unusable", uri=damaged) as caught,
    ):
        names.refuse()
    assert "\n" not in str(caught.value)


def test_nothing_is_asked_where_nobody_chose_the_name_or_there_is_no_store(tmp_path: Path) -> None:
    for uri, name in (("http://127.0.0.1:1", None), (f"sqlite:///{tmp_path}/m.db", "first")):
        with NameCheck(uri, "digits", name) as names:
            names.refuse()
            assert names._process is None
    assert not list(tmp_path.iterdir())
