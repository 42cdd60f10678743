"""Analysis of a project folder that was moved, although MLflow stores absolute paths."""

import json
import shutil
import socket
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient

from analysis import ui
from analysis.load import ELSEWHERE, Store, json_artifact, open_store
from analysis.models.fetch import opened
from analysis.models.registry import open_champion, register
from analysis.models.trained import Trained
from foldsweep.tracking import artifacts_beside, sqlite_uri
from tests.refusals import refused, said_as
from tests.trainables.keep.cases import Case, recipe_of
from trainables.data.digits import digits_source
from trainables.data.pairs import draw_pairs
from trainables.keep.fit import fit
from trainables.models.pairs.variants import MLP

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def trained() -> Trained:
    data = draw_pairs(digits_source(), seed=0, train_pairs=100, test_pairs=100)
    case = Case(variant=MLP, config=MLP.config.from_dict({"epochs": 1}), data=data)
    return Trained(model=fit(recipe_of(case.variant, case.config, data), MLP, data), data=data)


def store_in(folder: Path) -> Store:
    return open_store(sqlite_uri(folder / "mlflow.db"), "foldsweep")


@pytest.fixture(scope="module")
def moved(
    tmp_path_factory: pytest.TempPathFactory, empty_mlflow: Path, trained: Trained
) -> tuple[Path, Path, str]:
    """Old and new folder of a moved project with a champion and a run's JSON file; the run id."""
    old = tmp_path_factory.mktemp("moved") / "old"
    old.mkdir()
    database = Path(shutil.copy(empty_mlflow, old / "mlflow.db"))
    client = MlflowClient(tracking_uri=sqlite_uri(database))
    experiment = client.create_experiment(
        "foldsweep", str(artifacts_beside(database, "foldsweep"))
    )
    run = client.create_run(experiment).info.run_id
    client.log_dict(run, {"task": "digits"}, "task.json")
    register(store_in(old), "best", trained, None)
    return old, old.rename(old.with_name("new")), run


@pytest.mark.slow
def test_files_of_runs_are_read_where_the_project_is(moved: tuple[Path, Path, str]) -> None:
    old, new, run = moved
    assert json_artifact(store_in(new), run) == {"task": "digits"}
    assert json_artifact(store_in(new), run, "task.json") == {"task": "digits"}
    assert json_artifact(store_in(new), run, "other.json") is None
    assert not old.exists()


@pytest.mark.parametrize("given", ["best", "models:/best/1", "models:/best@champion"])
def test_a_registered_model_is_read_where_the_project_is(
    moved: tuple[Path, Path, str], trained: Trained, given: str
) -> None:
    old, new, _ = moved
    model = opened(given, store_in(new).tracking_uri)
    assert json.dumps(model.recipe.config) == json.dumps(trained.model.recipe.config)
    assert not old.exists()


def test_it_is_said_that_mlflow_shows_no_artifacts(
    moved: tuple[Path, Path, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    old, new, _ = moved
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        uri = store_in(new).tracking_uri
        monkeypatch.setattr(sys, "argv", ["ui.py", "--port", port, "--tracking-uri", uri])
        with refused("ui.address-unusable", port=int(port)):
            ui.main()
    said = " ".join(capsys.readouterr().out.split())
    assert said_as("ui.artifacts-elsewhere", place=f"{old}/mlartifacts/foldsweep").search(said)


def test_no_model_is_written_to_where_the_project_was(
    moved: tuple[Path, Path, str], trained: Trained
) -> None:
    old, new, _ = moved
    store = store_in(new)
    champion = open_champion(store, "best")
    place = old / "mlartifacts" / "foldsweep"
    with refused("model-registry.store-moved", place=place, meaning=ELSEWHERE):
        register(store, "best", trained, champion)
    assert not old.exists()
