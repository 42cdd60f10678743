"""Models in a real registry: logged, registered, served and compared."""

import asyncio
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import yaml
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.pyfunc.scoring_server import init

from analysis.load import Store, open_store
from analysis.models.registry import check, open_champion, register, serve_command
from analysis.models.trained import Trained
from tests.refusals import refused, said_as, text
from tests.trainables.keep.cases import CASES, Case, customers, recipe_of
from trainables.data.digits import digits_source
from trainables.data.pairs import draw_pairs
from trainables.keep.fit import fit
from trainables.models.pairs.variants import MLP, MLP_AUX
from trainables.tasks.task import Variant

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
    data = draw_pairs(digits_source(), seed=0, train_pairs=300, test_pairs=300)

    def build(variant: Variant = MLP, **config: Any) -> Trained:
        return of_case(
            Case(variant=variant, config=variant.config.from_dict(config), data=data), parent
        )

    return build


def of_case(case: Case, parent: str) -> Trained:
    origin = {"sweep": "s/mlp", "trial": 4, "mlflow": {"sweep_run_id": parent}}
    recipe = recipe_of(case.variant, case.config, case.data, **origin)
    recipe = replace(recipe, config=json.loads(json.dumps(recipe.config)))
    return Trained(model=fit(recipe, case.variant, case.data), data=case.data)


def register_one(store: Store, name: str, trained: Trained) -> str:
    return register(store, name, trained, open_champion(store, name))


def downloaded(store: Store, name: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.tracking_uri)
    return Path(mlflow.artifacts.download_artifacts(f"models:/{name}@champion"))


def test_alias_goes_to_what_is_significantly_better(store: Store, trained: Any) -> None:
    """Registers a first model, then a better one, then the better one again."""
    check(store, "best")
    assert open_champion(store, "best") is None
    weak, strong = trained(epochs=1, lr=1e-5), trained(epochs=12, lr=0.003)
    said = [register_one(store, "best", t) for t in (weak, strong, strong)]
    for sentence, version, kind, why in (
        (said[0], 1, "champion", said_as("champion.first")),
        (said[1], 2, "champion", said_as("champion.better", version=1)),
        (said[2], 3, "no-champion", said_as("champion.not-better", version=2)),
    ):
        registered = {"version": version, "name": "best", "alias": "champion"}
        assert said_as(f"model-registry.{kind}", **registered).fullmatch(sentence)
        assert why.search(sentence)
    assert said[2].endswith(text("difference.p-value", p=1))
    champion = store.client.get_model_version_by_alias("best", "champion")
    assert str(champion.version) == "2"
    for number, sentence in enumerate(said, start=1):
        version = store.client.get_model_version("best", str(number))
        assert version.description == sentence
    check(store, "best")


def test_model_is_logged_with_all_that_serving_takes(
    store: Store, trained: Any, parent: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model = trained(MLP_AUX, epochs=2, digits="path", aux_weight=0.3)
    register_one(store, "logged", model)
    version = store.client.get_model_version("logged", "1")
    accuracy = model.scores["accuracy"]
    for tags in (version.tags, store.client.get_run(version.run_id).data.tags):
        assert (tags["foldsweep.kind"], tags["foldsweep.sweep"]) == ("model", "s/mlp")
        assert (tags["foldsweep.trial"], tags["variant"]) == ("4", "larger_digit/mlp_aux")
        assert (tags["task"], tags["dataset"]) == ("larger_digit", "digits")
        assert (tags["train_rows"], tags["test_rows"]) == ("300", "300")
        assert tags["data_digest"] == model.data.digest
        assert float(tags["test_accuracy"]) == accuracy
    run = store.client.get_run(version.run_id)
    assert run.data.tags["mlflow.parentRunId"] == parent
    assert run.info.status == "FINISHED"
    assert run.data.metrics["test_accuracy"] == accuracy
    assert run.data.metrics["test_digit_accuracy"] == model.scores["digit_accuracy"]
    assert run.data.params["epochs"] == "2"

    monkeypatch.chdir(tmp_path)  # nothing depends on the working directory
    at = downloaded(store, "logged", monkeypatch)
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
        "prediction",
        "probability_first is larger",
        "probability_first is at most second",
        "digit_probabilities",
    }
    assert card["metadata"]["config"] == model.model.recipe.config
    required = (at / "requirements.txt").read_text().split()
    assert [line.split("==")[0] for line in required[:3]] == ["mlflow", "torch", "safetensors"]
    assert all("==" in line and "+" not in line for line in required)

    served = mlflow.pyfunc.load_model(str(at))
    images = model.data.test_rows.inputs["images"][:7]
    given, wanted = served.predict(images), model.model.predict(images)
    named = np.array(["first is larger", "first is at most second"])[wanted["answer"]]
    np.testing.assert_array_equal(given["prediction"], named)
    at_most = given["probability_first is at most second"]
    np.testing.assert_array_equal(at_most, wanted["probability"][:, 1])
    np.testing.assert_array_equal(given["digit_probabilities"], wanted["digit_probabilities"])
    scaled = images / np.float32(255)
    low, high = float(scaled.min()), float(scaled.max())
    said = text("larger-digit.images-not-raw", low=low, high=high)
    with pytest.raises(MlflowException, match=re.escape(said)):
        served.predict(scaled)


# Tables ------------------------------------------------------------------------------------------

TABLES = ("table classes", "table numbers", "estimator classes", "estimator numbers")


@pytest.fixture(scope="module")
def registered(
    store: Store, parent: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Trained]:
    """Registered models of all cases without images, by case name."""
    folder = tmp_path_factory.mktemp("tables")
    made = {}
    for name in (*TABLES, "two inputs"):
        case = CASES[name](folder)
        if name == "two inputs":
            (folder / "mine.py").write_text(OWN)
            case = replace(case, variant=replace(case.variant, name="own"))
            recipe = replace(case.recipe, space=str(folder / "mine.py"), sweep="s/own")
            made[name] = Trained(model=fit(recipe, case.variant, case.data), data=case.data)
        else:
            made[name] = of_case(case, parent)
        register_one(store, name.replace(" ", "-"), made[name])
    return made


OWN = """
from search_spaces.space import SearchSpace
from tests.trainables.keep.cases import Two, two_inputs
from trainables.config import TrialConfig
from trainables.tasks.task import Variant
from ray import tune


def space():
    variant = Variant(name="own", task=two_inputs(), model=Two, config=TrialConfig)
    return SearchSpace(name="mine", variant=variant, domains={"lr": tune.uniform(0.0, 1.0)})
"""


def served(store: Store, name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    return mlflow.pyfunc.load_model(str(downloaded(store, name.replace(" ", "-"), monkeypatch)))


@pytest.mark.parametrize("name", TABLES)
def test_table_is_served_by_its_columns(
    name: str, store: Store, registered: dict[str, Trained], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = served(store, name, monkeypatch)
    columns = [*customers(1)[["age in years", "plan", "active", "since"]].columns]
    assert model.metadata.get_input_schema().input_names() == columns
    assert model.metadata.metadata["columns"] == {
        "age in years": "number",
        "plan": "category",
        "active": "boolean",
        "since": "date",
    }
    frame = customers(25, seed=5)
    given, wanted = model.predict(frame), registered[name].model.predict(frame)
    if "value" in wanted:
        assert list(given.columns) == ["prediction"]
        np.testing.assert_array_equal(given["prediction"], wanted["value"])
    else:
        assert list(given.columns) == ["prediction", "probability_no", "probability_yes"]
        assert given["prediction"].tolist() == [("no", "yes")[a] for a in wanted["answer"]]
        np.testing.assert_array_equal(given["probability_yes"], wanted["probability"][:, 1])
    unseen = model.predict(frame.assign(plan="of tomorrow"))
    assert len(unseen) == 25
    typed = frame.assign(
        since=pd.to_datetime(frame["since"]),
        plan=frame["plan"].astype("category"),
        active=frame["active"].astype(int),
        **{"age in years": 40},
    )
    text = frame.assign(active=frame["active"].map({True: "true", False: "false"}))
    pd.testing.assert_frame_equal(model.predict(text), given)
    pd.testing.assert_frame_equal(
        model.predict(typed), model.predict(frame.assign(**{"age in years": 40.0}))
    )


@pytest.mark.parametrize("name", TABLES)
def test_table_s_example_is_a_request(
    name: str, store: Store, registered: dict[str, Trained], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = downloaded(store, name.replace(" ", "-"), monkeypatch)
    example = json.loads((folder / "serving_input_example.json").read_text())
    frame = pd.DataFrame(**example["dataframe_split"])
    first = registered[name].data.test_rows.take(slice(0, 1)).inputs
    wanted = registered[name].model.predict(first)
    given = registered[name].model.predict(frame)
    assert all(np.array_equal(given[key], wanted[key]) for key in wanted)


@pytest.mark.parametrize(
    ("name", "learnt", "needs"),
    [
        ("table classes", "weights.safetensors", {"pandas", "scikit-learn", "ray"}),
        ("estimator numbers", "estimator.skops", {"pandas", "scikit-learn", "skops", "scipy"}),
        ("two inputs", "weights.safetensors", {"ray"}),
    ],
)
def test_what_a_model_needs_is_in_its_requirements(
    name: str,
    learnt: str,
    needs: set[str],
    store: Store,
    registered: dict[str, Trained],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = downloaded(store, name.replace(" ", "-"), monkeypatch)
    required = (folder / "requirements.txt").read_text().split()
    assert needs <= {line.split("==")[0] for line in required}
    files = {path.name for path in (folder / "artifacts" / "model").iterdir()}
    files -= {"__pycache__"}  # Python creates it when it imports space.py
    assert files == {"recipe.yaml", learnt} | ({"space.py"} if name == "two inputs" else set())


def test_inputs_by_name_are_served(
    store: Store, registered: dict[str, Trained], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = served(store, "two inputs", monkeypatch)
    assert model.metadata.get_input_schema().input_names() == ["numbers", "code"]
    inputs = dict(registered["two inputs"].data.test_rows.inputs)
    wanted = registered["two inputs"].model.predict(inputs)["value"]
    np.testing.assert_array_equal(model.predict(inputs)["prediction"], wanted)


# Requests over HTTP ------------------------------------------------------------------------------


@pytest.fixture
def asked(store: Store, registered: dict[str, Trained], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Function that sends a request to the app of `mlflow models serve`: status and body."""

    def ask(body: Any, name: str = "table classes") -> Any:
        model = served(store, name, monkeypatch)
        return asyncio.run(answered(init(model), json.dumps(body).encode()))

    return ask


async def answered(app: Any, content: bytes) -> tuple[int, Any]:
    """Status and body of the response of an app."""
    sent = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/invocations",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
    }
    await app(scope, receive, send)
    body = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], json.loads(body)


def records(**change: Any) -> dict[str, Any]:
    row = {"age in years": 31, "plan": "basic", "active": True, "since": "2021-05-06"}
    return {"dataframe_records": [row, {**row, **change}]}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_missing_values_of_a_request_are_missing(
    asked: Any, registered: dict[str, Trained]
) -> None:
    """A missing boolean is not read as false, and text is not read as true."""
    model = registered["table classes"].model
    for change in (
        {"active": None},
        {"active": "false"},
        {"age in years": None},
        {"plan": None},
        {"plan": "of tomorrow"},
        {"since": None},
        {"since": "2021-05-06T07:08:09"},
    ):
        status, body = asked(records(**change))
        assert status == 200
        frame = pd.DataFrame(records(**change)["dataframe_records"])
        wanted = model.predict(frame)["probability"][:, 1]
        given = [row["probability_yes"] for row in body["predictions"]]
        np.testing.assert_allclose(given, wanted, rtol=1e-6)
    assert [row["prediction"] in ("no", "yes") for row in body["predictions"]] == [True, True]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("column", "value", "why"),
    [
        ("age in years", "old", text("columns.not-a-number")),
        ("active", "perhaps", text("columns.not-true-or-false")),
        ("since", "yesterday", text("columns.not-a-date")),
    ],
)
@pytest.mark.parametrize("name", ["table classes", "estimator classes"])
def test_wrong_value_is_a_bad_request(
    name: str, column: str, value: str, why: str, asked: Any
) -> None:
    status, body = asked(records(**{column: value}), name)
    assert status == 400
    assert body["error_code"] in ("BAD_REQUEST", "INVALID_PARAMETER_VALUE")
    said = text("columns.bad-value", column=column, value=value, row=2, why=why)
    assert said in body["message"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_missing_column_is_a_bad_request(asked: Any) -> None:
    body = records()
    for row in body["dataframe_records"]:
        del row["plan"]
    status, answer = asked(body)
    assert status == 400
    assert "missing inputs ['plan']" in answer["message"]


def test_wrong_value_in_python_is_an_invalid_parameter(
    store: Store, registered: dict[str, Trained], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = served(store, "table classes", monkeypatch)
    said = text(
        "columns.bad-value",
        column="age in years",
        value="old",
        row=1,
        why=text("columns.not-a-number"),
    )
    with pytest.raises(MlflowException, match=re.escape(said)) as caught:
        model.predict(customers(3).assign(**{"age in years": "old"}))
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"


# Side effects on the process ---------------------------------------------------------------------


def test_mlflow_is_left_as_it_was(
    store: Store, trained: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The tracking URI of the process stays the same, and nothing is printed."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////elsewhere/mlflow.db")
    open_champion(store, "nothing-here")
    register_one(store, "quiet", trained(epochs=1))
    assert mlflow.get_tracking_uri() == "sqlite:////elsewhere/mlflow.db"
    assert mlflow.active_run() is None
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


@pytest.mark.slow
@pytest.mark.integration
def test_command_that_serves_is_said(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = Path(sys.executable).parent
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.chdir(tmp_path)
    said = serve_command(store, "best")
    server = f'PATH={folder}:"$PATH"'  # MLflow looks for its server on PATH
    python = f"{sys.executable} -P -m mlflow models serve"
    assert said.startswith(f"MLFLOW_TRACKING_URI={store.tracking_uri} {server} {python} ")
    known = subprocess.run(
        ["/bin/sh", "-c", said.replace("--model-uri", "--help --model-uri")],
        env={"HOME": "/", "PATH": "/nowhere"},
        cwd="/",
        capture_output=True,
        text=True,
    )
    assert known.returncode == 0, known.stderr
    assert "--env-manager" in known.stdout
    monkeypatch.setenv("PATH", str(folder))
    said = serve_command(store, "best")
    assert said.startswith(f"MLFLOW_TRACKING_URI={store.tracking_uri} python -P -m mlflow ")
    assert said.endswith(
        "mlflow models serve --model-uri models:/best@champion --env-manager local"
        " --host 127.0.0.1 --port 5001"
    )


# Refusals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "a b", "../up", "a/b", "models:/x", "-x", "x" * 65, "ü"])
def test_bad_name_is_refused(store: Store, name: str) -> None:
    with refused("model-registry.name-not-allowed", name=name):
        check(store, name)


def test_store_without_a_registry_is_refused(store: Store) -> None:
    client = MlflowClient(tracking_uri=store.tracking_uri, registry_uri="nowhere://x")
    with refused("champion.registry-silent", uri=store.tracking_uri) as caught:
        check(replace(store, client=client), "best")
    assert "not supported" in str(caught.value.values["reason"])


def test_champion_of_somebody_else_is_refused(store: Store) -> None:
    store.client.create_registered_model("theirs")
    version = store.client.create_model_version("theirs", "file:///nowhere")
    check(store, "theirs")  # a model without a champion
    store.client.set_registered_model_alias("theirs", "champion", version.version)
    with refused("champion.not-of-foldsweep", name="theirs", version=1):
        check(store, "theirs")


def test_champion_that_is_gone_is_named(store: Store, trained: Any) -> None:
    register_one(store, "gone", trained(epochs=1))
    for path in Path(store.client.get_experiment(store.experiment_id).artifact_location).rglob(
        f"{store.client.get_model_version('gone', '1').source.rpartition('/')[2]}"
    ):
        shutil.rmtree(path)
    with refused("champion.unreadable", name="gone", version=1):
        open_champion(store, "gone")


def test_another_champion_in_the_meantime_is_noticed(store: Store, trained: Any) -> None:
    model = trained(epochs=1)
    seen = open_champion(store, "busy")
    register(store, "busy", model, seen)
    with refused("model-registry.champion-changed", name="busy"):
        register(store, "busy", model, seen)
    assert len(store.client.search_model_versions("name = 'busy'")) == 1
