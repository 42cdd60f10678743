"""Exported models: files, folders and registered versions."""

import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analysis.models.fetch import opened
from foldsweep import names
from tests.analysis.export.cases import IMAGES, recorded, refused_export
from tests.refusals import refused, said_as, text
from tests.trainables.keep.cases import customers
from trainables.data.digits import digits_source
from trainables.data.pairs import draw_pairs
from trainables.tasks.larger_digit import TASK


def test_model_is_trained_and_written_beside_the_recipe(run: Callable) -> None:
    recipe, data, trained, script, program = run(
        "--sweep", "both", "--space", "mlp", "--format", "torchscript", "pt2"
    )
    of_trial = {"path": "best-both-mlp.yaml", "trial": 2, "sweep": "both/mlp"}
    assert said_as("export.written", **of_trial, metric="val_accuracy").fullmatch(recipe)
    assert " 0.7500 ± " in recipe
    assert data.startswith(text("images.digits", images=1797, why=""))
    how = text("trained.network", epochs="4 epochs")
    assert said_as("trained.whole", variant="mlp", how=how, rows=30, unit="pairs").match(trained)
    assert said_as("trained.score", metric="accuracy", rows=20, unit="pairs").search(trained)
    for said, file, kind in (
        (script, "best-both-mlp.pt", "torchscript"),
        (program, "best-both-mlp.pt2", "pt2"),
    ):
        assert Path(file).is_file()
        written = said_as("trained.file", path=file, format=kind, rows="20 test pairs")
        assert written.fullmatch(said)
        assert text("trained.same") in said or re.search(r"\de-07\b", said)


@pytest.mark.slow
def test_models_of_the_folds_are_written_and_registered_as_one(run: Callable) -> None:
    of_one = ("--sweep", "both", "--space", "mlp")
    said = run(
        *of_one, "--ensemble", "--keep", "kept", "--format", "onnx", "--register", "together"
    )
    how = text("trained.network", epochs="4 epochs")
    ensemble = {"variant": "mlp", "how": how, "models": 2, "rows": 30, "unit": "pairs"}
    assert said_as("trained.ensemble", **ensemble).fullmatch(said[2])
    assert said_as("trained.score", metric="accuracy").search(said[2])
    assert Path("best-both-mlp.onnx").is_file()
    kept = opened("kept", "")
    assert kept.size == 2
    rows = draw_pairs(digits_source(), seed=3, train_pairs=3, test_pairs=2).train
    assert kept.predict(rows.inputs)["probability"].shape == (3, 2)
    registered = said_as("model-registry.champion", version=1, name="together")
    assert len([line for line in said if registered.fullmatch(line)]) == 1


def test_an_ensemble_is_of_a_trained_model(run: Callable) -> None:
    with refused_export("export.ensemble-without-model"):
        run("--space", "mlp", "--ensemble")
    with refused_export("keep-formats.ensemble-for-skops", variant="logistic"):
        run("--sweep", "auc", "--space", "logistic", "--ensemble", "--format", "skops")


@pytest.mark.parametrize(
    ("sweep", "space", "kind", "how"),
    [
        ("auc", "mlp", "onnx", text("trained.network", epochs="2 epochs")),
        ("auc", "logistic", "skops", text("trained.estimator")),
        ("rmse", "ridge", "skops", text("trained.estimator")),
    ],
)
def test_model_of_a_table_is_kept_and_asked(
    run: Callable,
    sweep: str,
    space: str,
    kind: str,
    how: str,
    tables: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = str(tables / "customers.csv")
    options = ("--sweep", sweep, "--space", space, "--data", data)
    said = run(*options, "--keep", "kept", "--format", kind)
    metric = {"auc": "roc_auc", "rmse": "rmse"}[sweep]
    assert said_as("trained.whole", variant=space, how=how, rows=128, unit="rows").match(said[2])
    assert said_as("trained.score", metric=metric, rows=32, unit="rows").search(said[2])
    path = f"best-{sweep}-{space}.{kind}"
    assert said_as("trained.file", path=path, format=kind).fullmatch(said[3])
    assert said_as("export.kept", folder="kept").fullmatch(said[4])
    assert "analysis/predict.py kept NEW.csv" in said[4]
    run(*options, "--keep", "kept")  # replaces the model in that folder

    from analysis import predict

    customers(7, seed=9).to_csv("new.csv", index=False)
    monkeypatch.setattr(sys, "argv", ["predict.py", "kept", "new.csv"])
    assert predict.main() == 0
    assert len(Path("predictions.csv").read_text().splitlines()) == 8


def test_data_beside_the_recipe_is_taken(run: Callable, tables: Path) -> None:
    shutil.copy(tables / "customers.csv", "customers.csv")
    assert len(run("--sweep", "rmse", "--keep", "kept")) == 4
    assert sorted(f.name for f in Path("kept").iterdir()) == ["estimator.skops", "recipe.yaml"]


def test_data_that_is_not_there_is_asked_for(run: Callable) -> None:
    with refused("reload.data-file-missing", file="customers.csv"):
        run("--sweep", "rmse", "--keep", "kept")
    customers(seed=3).to_csv("changed.csv", index=False)
    with refused("tables.file-differs", file="changed.csv"):
        run("--sweep", "rmse", "--keep", "kept", "--data", "changed.csv")
    assert not Path("kept").exists()


@pytest.mark.parametrize("name", ["ä", "a b", "../up"])
def test_name_that_cannot_be_registered_is_refused_at_once(run: Callable, name: str) -> None:
    with refused_export("model-registry.name-not-allowed", name=name):
        run("--space", "mlp", "--register", name)


def test_unknown_format_is_refused(run: Callable) -> None:
    with refused_export("programs.command-line-invalid") as caught:
        run("--space", "mlp", "--format", "pickle")
    assert "pickle" in str(caught.value)
    assert "torchscript" in str(caught.value)


def test_data_that_is_not_the_sweep_s_is_refused(run: Callable) -> None:
    with refused("reload.other-data"):
        run("--sweep", "other", "--format", "pt2")
    assert not list(Path().glob("*.pt2"))


def test_damaged_file_of_a_task_that_ships_is_named(run: Callable, swept: Any) -> None:
    record = recorded(TASK, IMAGES)
    record["origin"] = {**record["origin"], "dataset": "mnist"}
    swept.client.log_text(swept.parents["old/mlp"], json.dumps(record), names.TASK_FILE)
    Path("mnist").mkdir()
    Path("mnist/train-images-idx3-ubyte").write_bytes(b"no images")
    with refused("mnist.damaged", file="train-images-idx3-ubyte"):
        run("--sweep", "old", "--format", "pt2", "--data-dir", "mnist")
