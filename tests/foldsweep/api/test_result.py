"""Result of a sweep in a program: trials, comparison, figures, a page, models."""

import contextlib
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

import foldsweep as fs
from analysis.models.fetch import opened
from tests.foldsweep.api import made
from tests.foldsweep.api.test_sweeping import SMALL, process
from tests.refusals import refused, said_as, text
from trainables.keep.labels import labelled

pytestmark = [pytest.mark.slow, pytest.mark.integration, pytest.mark.timeout(180)]

Rows = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def swept(
    table: fs.Task, tmp_path_factory: pytest.TempPathFactory, empty_mlflow: Path
) -> tuple[Path, fs.Result]:
    """Folder with a sweep of two spaces, and the result of the sweep."""
    folder = tmp_path_factory.mktemp("swept")
    shutil.copy(empty_mlflow, folder / "mlflow.db")
    with contextlib.chdir(folder):
        settings = {**SMALL, "spaces": ["mlp", "logistic"], "epochs": 2}
        return folder, fs.sweep(table, name="two", **settings)


@pytest.fixture
def result(
    home: Path, swept: tuple[Path, fs.Result], monkeypatch: pytest.MonkeyPatch
) -> fs.Result:
    """Result of the sweep; the sweep's folder is the working directory."""
    monkeypatch.chdir(swept[0])
    return swept[1]


def test_what_a_sweep_came_to_is_compared_drawn_and_written(result: fs.Result) -> None:
    compared = result.compare()
    assert [*compared.rows["variant"]] == [row.sweep.variant for row in compared.comparison.rows]
    assert compared.rows["best_trial"][0] == result.best.number
    assert len(compared.tests) == 1
    words = str(compared)
    assert compared.comparison.rows[0].name in words.splitlines()[0]
    page = compared._repr_html_()
    assert page.count("<table") == 2
    assert words.splitlines()[0] in page
    assert compared.table_html() in page
    assert compared.table_html() in result._repr_html_()
    assert "finals" not in page  # there are no finals

    before = process()
    figures = result.plot()
    assert {"all-boxes", "all-history"} & set(figures)
    assert repr(figures).splitlines() == [
        *(f"{name}: {drawn.caption}" for name, drawn in figures.items()),
        *figures.missing,
    ]
    assert any(map(said_as("gallery.not-evaluated").fullmatch, figures.missing))
    result.report("page.html")
    assert words.splitlines()[0] in Path("page.html").read_text()
    with refused("analysis-report.out-not-html", path="page.pdf"):
        result.report("page.pdf")
    after = process()
    assert {name for name in before if before[name] != after[name]} == set()

    one, other = fs.load("two/mlp"), fs.load("two/logistic")
    assert str(one.compare(other)) == words
    with refused("selection.objective-unmeasured", objective="r2"):
        one.compare(other, objective="r2")


def test_a_model_answers_new_rows_and_is_kept_and_registered(
    result: fs.Result, rows: Rows, table: fs.Task
) -> None:
    x, y = rows
    mlflow.set_tracking_uri("sqlite:///of_the_user.db")
    try:
        before = process()
        model = result.fit()
        answers = model.predict(x)
        assert set(answers) == {"up", "down"}
        assert (answers == y).mean() > 0.8
        columns = pd.DataFrame(x, columns=[f"x{i}" for i in range(4)])
        assert np.array_equal(model.predict(columns), answers)
        chances = model.predict_proba(x[:5])
        assert np.allclose(chances.sum(axis=1), 1)
        assert np.array_equal(np.array(model.classes)[chances.argmax(axis=1)], answers[:5])
        assert model.scores["accuracy"] > 0.5
        assert f"{len(x) // 5} test rows" in repr(model)
        with refused("schema.columns-missing", columns="'x3'"):
            model.predict(columns[["x0", "x1", "x2"]])
        model.save("model")
        said = result.register("sides")
        assert said.startswith("version 1 of sides registered as champion")
        assert mlflow.get_tracking_uri() == "sqlite:///of_the_user.db"
        after = process()
        assert {name for name in before if before[name] != after[name]} == set()
    finally:
        mlflow.set_tracking_uri(None)  # type: ignore[arg-type]

    kept = opened("model", "")
    assert np.array_equal(labelled(kept, kept.predict(columns))["prediction"], answers)
    loaded = fs.load("two")
    reason = text("tables.data-of-a-program")
    with refused("api-model.task-or-spaces-needed", reason=reason, sweep="two"):
        loaded.fit()
    assert np.array_equal(fs.load("two", table).fit().predict(x), answers)
    other = fs.table(x[::-1], y)
    with refused("api-model.other-variant-or-data") as caught:
        fs.load("two", other).fit()
    assert str(caught.value.values["sweep"]).startswith("two/")
    assert str(caught.value.values["trained"]).startswith("table/")


def test_an_ensemble_of_fold_models_is_one_model(result: fs.Result, rows: Rows) -> None:
    x, y = rows
    for trial in (sweep.complete[0] for sweep in result.sweeps):
        model = result.fit(trial, ensemble=True)
        assert model.trained.model.size == 3
        assert (model.predict(x) == y).mean() > 0.5
        assert np.allclose(model.predict_proba(x).sum(axis=1), 1)
        folder = Path(f"ensemble-{trial.variant}")
        model.save(folder)
        kept = opened(str(folder), "")
        columns = pd.DataFrame(x, columns=[f"x{i}" for i in range(4)])
        assert np.array_equal(
            labelled(kept, kept.predict(columns))["prediction"], model.predict(x)
        )


@pytest.mark.slow
def test_a_model_whose_code_is_in_the_program_is_not_kept(
    make_space: Callable[..., fs.SearchSpace], rows: Rows, home: Path
) -> None:
    result = fs.sweep(make_space(), name="own", **SMALL)
    model = result.fit()
    assert set(model.predict(rows[0])) <= {"up", "down"}
    with refused("api-model.variant-in-no-file", variant="net"):
        model.save("model")
    with refused("api-model.variant-in-no-file", variant="net"):
        result.register("mine")
    assert not (home / "model").exists()
    with refused("api-model.task-or-spaces-needed", sweep="own") as caught:
        fs.load("own").fit()
    assert "'small'" in str(caught.value.values["reason"])
    assert fs.load("own", make_space()).fit().scores == model.scores


@pytest.mark.slow
def test_a_sweep_of_a_file_is_fitted_again_later(home: Path, rows: Rows) -> None:
    x, y = rows
    frame = pd.DataFrame(x, columns=list("abcd")).assign(side=y)
    (home / "data").mkdir()
    frame.to_csv("data/sides.csv", index=False)
    result = fs.sweep("logistic", data="data/sides.csv", target="side", name="file", **SMALL)
    answers = result.fit().predict(frame)
    with refused("reload.data-file-missing", file="sides.csv"):
        fs.load("file").fit()
    again = fs.load("file", data=home / "data" / "sides.csv").fit()
    assert np.array_equal(again.predict(frame.drop(columns="side")), answers)


@pytest.mark.slow
def test_a_sweep_without_a_complete_trial_says_so(
    make_space: Callable[..., fs.SearchSpace],
) -> None:
    def crash() -> None:
        if Path("runs/own/small").is_dir():
            raise OSError("disk is gone")

    made.hooks.append(crash)
    result = fs.sweep(make_space(), name="own", max_failures=0, **SMALL)
    assert [*result.trials["state"]] == ["FAIL"] * 3
    assert "no complete trial yet" in result._repr_html_()
    for use in (lambda: result.best, result.compare, result.plot, result.fit):
        with refused("api-result.no-complete-trial", sweep="own"):
            use()


@pytest.mark.slow
def test_a_result_that_mlflow_cannot_take_is_not_lost(
    make_space: Callable[..., fs.SearchSpace],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        uri = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with refused("api-result.result-not-loaded", sweep="own") as caught:
        fs.sweep(make_space(), name="own", tracking_uri=uri, **{**SMALL, "trials": 1})
    assert f"MLflow at {uri} " in str(caught.value.values["reason"])
    assert Path("runs/own/small/study.journal").is_file()
