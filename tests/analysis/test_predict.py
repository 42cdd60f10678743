"""Predictions of a kept model for the rows of a file: output file, messages and refusals."""

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from analysis.load import open_store
from analysis.models.registry import register
from analysis.models.trained import Trained
from analysis.predict import main
from foldsweep.errors import UserError
from tests.refusals import refused, said_as, text
from tests.trainables.keep.cases import CASES, Case, customers, of_space, task_data
from trainables.keep.model import KeptModel
from trainables.tasks.tables import TableOptions, table_task

NAMES = ("table classes", "table numbers", "estimator classes", "larger_digit", "images")


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Case]:
    folder = tmp_path_factory.mktemp("tables")
    found = {name: CASES[name](folder) for name in NAMES if name in CASES}
    task = table_task(TableOptions(data="digit_images"), seed=0, objective=None)
    variant, config = of_space("mlp", task, epochs=1, hidden=8)
    found["images"] = Case(variant=variant, config=config, data=task_data(task))
    return found


@pytest.fixture(scope="module")
def models(cases: dict[str, Case], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Kept model and its folder, by case name."""
    found = {}
    for name, case in cases.items():
        folder = tmp_path_factory.mktemp("model")
        model = case.fit(sweep="s/space", trial=3)
        model.save(folder)
        found[name] = (model, folder)
    return found


@pytest.fixture
def predict(
    models: dict[str, tuple[KeptModel, Path]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., tuple[list[str], pd.DataFrame]]:
    """Function that runs the program in an empty folder; returns output lines and predictions."""
    monkeypatch.chdir(tmp_path)

    def run(name: str, *args: str) -> tuple[list[str], pd.DataFrame]:
        folder = str(models[name][1]) if name in models else name
        monkeypatch.setattr(sys, "argv", ["predict.py", folder, *args])
        assert main() == 0
        out = Path(args[args.index("--out") + 1]) if "--out" in args else Path("predictions.csv")
        read = pd.read_parquet if out.suffix == ".parquet" else pd.read_csv
        return capsys.readouterr().out.splitlines(), read(out)

    return run


@contextmanager
def refused_prediction(kind: str, **values: Any) -> Iterator[pytest.ExceptionInfo[UserError]]:
    """Expect a refusal in one line, without a file of predictions."""
    with refused(kind, **values) as caught:
        yield caught
    assert "\n" not in str(caught.value)
    assert not list(Path().glob("predictions.*"))


# What is written ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["table classes", "estimator classes"])
def test_classes_are_written_beside_the_identifiers(
    name: str, predict: Callable, models: dict[str, Any]
) -> None:
    frame = customers(30, seed=5)
    frame.drop(columns=["left", "bill"]).to_csv("new.csv", index=False)
    said, written = predict(name, "new.csv")
    assert list(written) == ["customer id", "prediction", "probability_no", "probability_yes"]
    wanted = models[name][0].predict(frame)
    assert written["customer id"].tolist() == frame["customer id"].tolist()
    assert written["prediction"].tolist() == [("no", "yes")[a] for a in wanted["answer"]]
    np.testing.assert_allclose(written["probability_yes"], wanted["probability"][:, 1], rtol=1e-6)
    variant = models[name][0].recipe.variant
    source = text("predict.trial-of-sweep", trial=3, sweep="s/space")
    written = {"path": "predictions.csv", "rows": 30, "variant": variant}
    assert said == [text("predict.written", **written, source=source)]


def test_numbers_are_written_in_units_of_the_target(
    predict: Callable, models: dict[str, Any]
) -> None:
    frame = customers(30, seed=5)
    frame.to_parquet("new.parquet")
    said, written = predict("table numbers", "new.parquet", "--out", "values.parquet")
    assert list(written) == ["customer id", "prediction"]
    np.testing.assert_array_equal(
        written["prediction"], models["table numbers"][0].predict(frame)["value"]
    )
    written = said_as("predict.written", path="values.parquet", rows=30, variant="customers/mlp")
    assert written.fullmatch(said[-1])


def test_unseen_categories_and_ignored_columns_are_told(
    predict: Callable, models: dict[str, Any]
) -> None:
    frame = customers(30, seed=5).assign(more=1, other="x")
    frame.loc[:3, "plan"] = "of tomorrow"
    frame.to_csv("new.csv", index=False)
    said, written = predict("table classes", "new.csv")
    assert said[:2] == [
        text("table-summary.ignored", columns="more, other"),
        text("table-summary.unseen", column="plan", values=4),
    ]
    assert len(written) == 30


def test_file_without_identifiers_is_predicted_too(predict: Callable) -> None:
    customers(9, seed=5).drop(columns="customer id").to_csv("new.csv", index=False, sep=";")
    said, written = predict("table classes", "new.csv")
    assert list(written) == ["prediction", "probability_no", "probability_yes"]
    assert len(written) == 9
    assert said[0] == text("separators.delimiter", delimiters="semicolons")


@pytest.mark.parametrize("name", ["larger_digit", "images"])
def test_arrays_are_read_from_npz(
    name: str, predict: Callable, models: dict[str, Any], cases: dict[str, Case]
) -> None:
    images = cases[name].rows.inputs["images"]
    np.savez("new.npz", x=images)
    _, written = predict(name, "new.npz")
    wanted = models[name][0].predict({"images": images})
    classes = np.array(models[name][0].classes)
    assert written["prediction"].tolist() == classes[wanted["answer"]].tolist()
    column = f"probability_{classes[1]}"
    np.testing.assert_allclose(written[column], wanted["probability"][:, 1], rtol=1e-6)


def test_predictions_are_replaced(predict: Callable) -> None:
    customers(9, seed=5).to_csv("new.csv", index=False)
    predict("table classes", "new.csv")
    customers(4, seed=5).to_csv("new.csv", index=False)
    assert len(predict("table classes", "new.csv")[1]) == 4
    assert sorted(path.name for path in Path().iterdir()) == ["new.csv", "predictions.csv"]


def test_identifier_keeps_a_name_of_its_own(
    predict: Callable, tmp_path: Path, cases: dict[str, Case]
) -> None:
    frame = customers().rename(columns={"customer id": "prediction"}).drop(columns="bill")
    frame.to_csv("own.csv", index=False)
    task = table_task(TableOptions(data="own.csv", target="left"), seed=0, objective=None)
    variant, config = of_space("logistic", task)
    folder = tmp_path / "own"
    folder.mkdir()
    Case(variant=variant, config=config, data=task_data(task)).fit().save(folder)
    _, written = predict(str(folder), "own.csv")
    assert list(written)[:2] == ["prediction_", "prediction"]


# Mistakes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "kind", "values"),
    [
        (
            ("table classes", "gone.csv"),
            "reading.unreadable",
            {"path": "gone.csv", "problem": "No such file or directory"},
        ),
        (("table classes", "new.txt"), "reading.empty", {"path": "new.txt"}),
        (
            ("table classes", "new.csv", "--out", "p.xlsx"),
            "asking.out-ending-unknown",
            {"path": "p.xlsx", "known": ".csv or .parquet"},
        ),
        (
            ("table classes", "new.csv", "--out", "no/p.csv"),
            "asking.out-folder-missing",
            {"folder": "no"},
        ),
        (
            ("table classes", "new.csv", "--out", "new.csv"),
            "asking.out-is-input",
            {"path": "new.csv"},
        ),
        (("table classes", "fewer.csv"), "schema.columns-missing", {"columns": "'plan'"}),
        (
            ("table classes", "wrong.csv"),
            "columns.bad-value",
            {
                "column": "age in years",
                "value": "old",
                "row": 2,
                "why": text("columns.not-a-number"),
            },
        ),
        (("table classes", "empty.csv"), "reading.no-rows", {"path": "empty.csv"}),
        (("larger_digit", "new.csv"), "asking.table-for-arrays", {"path": "new.csv"}),
        (("images", "new.csv"), "tables.table-for-arrays", {"path": "new.csv"}),
        (
            ("images", "other.npz"),
            "arrays.row-shape-differs",
            {"array": "x", "expected": (1, 8, 8), "shape": (9, 9)},
        ),
        (
            ("larger_digit", "other.npz"),
            "shapes.other-shape",
            {"input": "images", "wanted": "n, 2, 14, 14"},
        ),
        (("empty folder", "new.csv"), "fetch.folder-without-model", {"file": "recipe.yaml"}),
        (("no/folder", "new.csv"), "fetch.folder-missing", {"model": "no/folder"}),
        (("churn", "new.csv"), "fetch.store-missing", {"model": "models:/churn@champion"}),
        (("models:/churn/2", "new.csv"), "fetch.store-missing", {"model": "models:/churn/2"}),
    ],
)
def test_mistakes_are_said_in_one_line(
    args: tuple[str, ...], kind: str, values: dict[str, Any], predict: Callable, tmp_path: Path
) -> None:
    frame = customers(5, seed=5)
    frame.to_csv("new.csv", index=False)
    frame.drop(columns="plan").to_csv("fewer.csv", index=False)
    wrong = frame.astype({"age in years": object})
    wrong.loc[1, "age in years"] = "old"
    wrong.to_csv("wrong.csv", index=False)
    frame.iloc[:0].to_csv("empty.csv", index=False)
    Path("new.txt").write_text("")
    np.savez("other.npz", x=np.ones((4, 9, 9)))
    Path("empty folder").mkdir()
    with refused_prediction(kind, **values):
        predict(*args)


def test_an_unknown_option_is_named(predict: Callable) -> None:
    with refused_prediction("programs.command-line-invalid") as caught:
        predict("table classes", "new.csv", "--bogus")
    assert "Unrecognized options: --bogus" in str(caught.value)


def test_mistake_ends_with_exit_code_2(
    models: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from foldsweep.programs import run_program

    monkeypatch.setattr(sys, "argv", ["predict.py", str(models["images"][1]), "gone.npz"])
    with pytest.raises(SystemExit) as stop:
        run_program(main)
    assert stop.value.code == 2
    said = text("reading.unreadable", path="gone.npz", problem="No such file or directory")
    assert capsys.readouterr().err == f"error: {said}\n"


# Registered models -------------------------------------------------------------------------------


@pytest.mark.integration
def test_champion_of_a_registry_is_asked_by_its_name(
    empty_mlflow: Path,
    predict: Callable,
    models: dict[str, Any],
    cases: dict[str, Case],
    tmp_path: Path,
) -> None:
    uri = f"sqlite:///{shutil.copy(empty_mlflow, tmp_path / 'mlflow.db')}"
    MlflowClient(tracking_uri=uri).create_experiment("foldsweep", str(tmp_path / "artifacts"))
    store = open_store(uri, "foldsweep")
    model = models["estimator classes"][0]
    register(store, "churn", Trained(model=model, data=cases["estimator classes"].data), None)
    frame = customers(6, seed=5)
    frame.to_csv("new.csv", index=False)
    wanted = predict("estimator classes", "new.csv")[1]
    for name in ("churn", "models:/churn@champion", "models:/churn/1"):
        pd.testing.assert_frame_equal(predict(name, "new.csv", "--tracking-uri", uri)[1], wanted)
    Path("predictions.csv").unlink()
    with refused_prediction("fetch.name-not-registered", name="other", uri=uri, known="churn"):
        predict("other", "new.csv", "--tracking-uri", uri)
    with refused_prediction("fetch.model-unreadable", model="models:/churn/7") as caught:
        predict("models:/churn/7", "new.csv", "--tracking-uri", uri)
    assert "/nothing" not in str(caught.value)
