"""Models in a real registry: logged, registered, served and compared."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
import yaml
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from analysis.load import Store, open_store
from analysis.models.registry import check, open_champion, register, serve_command
from analysis.models.trained import Trained
from foldsweep.errors import UserError
from tests.trainables.cases import recipe_of
from trainables.data.digits import digits_source
from trainables.data.pairs import draw_pairs
from trainables.keep.fit import fit
from trainables.variants import MLP, MLP_AUX, Variant

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def store(empty_mlflow: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("registry")
    uri = f"sqlite:///{shutil.copy(empty_mlflow, folder / 'mlflow.db')}"
    MlflowClient(tracking_uri=uri).create_experiment("foldsweep", str(folder / "artifacts"))
    return open_store(uri, "foldsweep")


@pytest.fixture(scope="module")
def parent(store: Store) -> str:
    return str(store.client.create_run(store.experiment_id, run_name="s/mlp").info.run_id)


@pytest.fixture(scope="module")
def trained(parent: str) -> Any:
    source = digits_source()
    data = draw_pairs(source, seed=0, train_pairs=300, test_pairs=300)

    def build(variant: Variant = MLP, **config: Any) -> Trained:
        recipe = recipe_of(
            variant,
            variant.config.from_dict(config),
            data,
            sweep="s/mlp",
            trial=4,
            mlflow={"sweep_run_id": parent},
        )
        recipe = replace(recipe, config=json.loads(json.dumps(recipe.config)))
        return Trained(model=fit(recipe, variant, data), data=data, source=source)

    return build


def register_one(store: Store, name: str, trained: Trained) -> str:
    return register(store, name, trained, open_champion(store, name))


def test_the_alias_goes_to_what_is_better_beyond_noise(store: Store, trained: Any) -> None:
    """First, then a better one, then the same once more."""
    check(store, "best")
    assert open_champion(store, "best") is None
    weak, strong = trained(epochs=1, lr=1e-5), trained(epochs=12, lr=0.003)
    said = [register_one(store, "best", t) for t in (weak, strong, strong)]
    assert said[0].startswith("version 1 of best registered and champion, the first one: 0.")
    assert said[1].startswith("version 2 of best registered and champion in place of version 1: ")
    assert said[2].startswith("version 3 of best registered; champion stays version 2: ")
    assert said[2].endswith(" on the same 300 digits pairs, p = 1")
    champion = store.client.get_model_version_by_alias("best", "champion")
    assert str(champion.version) == "2"
    for number, sentence in enumerate(said, start=1):
        version = store.client.get_model_version("best", str(number))
        assert version.description == sentence
    check(store, "best")


def test_a_model_is_logged_with_all_that_serving_takes(
    store: Store, trained: Any, parent: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model = trained(MLP_AUX, epochs=2, digits="path", aux_weight=0.3)
    register_one(store, "logged", model)
    version = store.client.get_model_version("logged", "1")
    accuracy = float(model.right(model.model).mean())
    for tags in (version.tags, store.client.get_run(version.run_id).data.tags):
        assert (tags["foldsweep.kind"], tags["foldsweep.sweep"]) == ("model", "s/mlp")
        assert (tags["foldsweep.trial"], tags["variant"]) == ("4", "mlp_aux")
        assert (tags["dataset"], tags["data_digest"]) == ("digits", model.data.digest)
        assert float(tags["test_accuracy"]) == accuracy
    run = store.client.get_run(version.run_id)
    assert run.data.tags["mlflow.parentRunId"] == parent
    assert run.info.status == "FINISHED"
    assert run.data.metrics["test_accuracy"] == accuracy
    assert run.data.params["epochs"] == "2"

    monkeypatch.chdir(tmp_path)  # nothing depends on the folder that one is in
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.tracking_uri)
    at = Path(mlflow.artifacts.download_artifacts("models:/logged@champion"))
    files = {str(path.relative_to(at)) for path in at.rglob("*") if path.is_file()}
    assert files >= {"served_model.py", "MLmodel", "requirements.txt", "input_example.json"}
    assert {f for f in files if f.startswith("artifacts/")} == {
        "artifacts/model/recipe.yaml",
        "artifacts/model/weights.safetensors",
    }
    assert not [f for f in files if f.endswith((".pkl", ".pickle", ".pt", ".pth"))]
    card = yaml.safe_load((at / "MLmodel").read_text())
    assert json.loads(card["signature"]["inputs"])[0]["tensor-spec"] == {
        "dtype": "float32",
        "shape": [-1, 2, 14, 14],
    }
    assert {spec["name"] for spec in json.loads(card["signature"]["outputs"])} == {
        "probability",
        "decision",
        "digit_probabilities",
    }
    assert card["metadata"]["config"] == model.model.recipe.config
    required = (at / "requirements.txt").read_text().split()
    assert [line.split("==")[0] for line in required[:3]] == ["mlflow", "torch", "safetensors"]
    assert all("==" in line and "+" not in line for line in required)

    served = mlflow.pyfunc.load_model(str(at))
    images = model.data.test.images[:7]
    given, wanted = served.predict(images), model.model.predict(images)
    np.testing.assert_array_equal(given["probability"], wanted.probability)
    np.testing.assert_array_equal(given["digit_probabilities"], wanted.digit_probabilities)
    with pytest.raises(MlflowException, match="images must be raw, from 0 to 255"):
        served.predict(images / np.float32(255))


def test_mlflow_is_left_as_it_was(
    store: Store, trained: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its tracking URI is the whole process's, and it is quiet."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////elsewhere/mlflow.db")
    open_champion(store, "nothing-here")
    register_one(store, "quiet", trained(epochs=1))
    assert mlflow.get_tracking_uri() == "sqlite:////elsewhere/mlflow.db"
    assert mlflow.active_run() is None
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


def test_the_command_that_serves_is_said(store: Store) -> None:
    said = serve_command(store, "best")
    assert said.startswith(f"MLFLOW_TRACKING_URI={store.tracking_uri} ")
    assert said.endswith(
        "mlflow models serve --model-uri models:/best@champion --env-manager local"
        " --host 127.0.0.1 --port 5001"
    )


# Refusals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "a b", "../up", "a/b", "models:/x", "-x", "x" * 65, "ü"])
def test_a_bad_name_is_refused(store: Store, name: str) -> None:
    with pytest.raises(UserError, match="^model name .* must be letters, digits"):
        check(store, name)


def test_a_store_without_a_registry_is_refused(store: Store) -> None:
    client = MlflowClient(tracking_uri=store.tracking_uri, registry_uri="nowhere://x")
    with pytest.raises(UserError, match=r"has no model registry that answers: .*not supported"):
        check(replace(store, client=client), "best")


def test_a_champion_of_somebody_else_is_refused(store: Store) -> None:
    store.client.create_registered_model("theirs")
    version = store.client.create_model_version("theirs", "file:///nowhere")
    check(store, "theirs")  # which has no champion
    store.client.set_registered_model_alias("theirs", "champion", version.version)
    with pytest.raises(UserError, match="^version 1 of theirs, its champion, is no model of fold"):
        check(store, "theirs")


def test_a_champion_that_is_gone_is_said(store: Store, trained: Any) -> None:
    register_one(store, "gone", trained(epochs=1))
    for path in Path(store.client.get_experiment(store.experiment_id).artifact_location).rglob(
        f"{store.client.get_model_version('gone', '1').source.rpartition('/')[2]}"
    ):
        shutil.rmtree(path)
    with pytest.raises(UserError, match="^version 1 of gone, its champion, cannot be read: "):
        open_champion(store, "gone")


def test_another_champion_in_the_meantime_is_noticed(store: Store, trained: Any) -> None:
    model = trained(epochs=1)
    seen = open_champion(store, "busy")
    register(store, "busy", model, seen)
    with pytest.raises(UserError, match="^busy got another champion in the meantime"):
        register(store, "busy", model, seen)
    assert len(store.client.search_model_versions("name = 'busy'")) == 1
