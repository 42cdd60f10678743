"""All figures of two sweeps in a store, one older than the other."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mlflow.entities import Metric
from optuna.distributions import FloatDistribution

from analysis import figures
from analysis.load import json_artifact, open_store
from analysis.plots.curves import learning_curves, trial_curves
from analysis.plots.gallery import shown_names, sweep_figures
from analysis.results import load_sweeps
from sweeps.distributions import distributions_json
from tests.analysis.cases import sweep, trial
from tests.refusals import refused, text

PAIR = {
    "images": np.zeros((2, 14, 14), dtype=int).tolist(),
    "digits": [3, 5],
    "target": 1,
    "probability": 0.07,
}
CLASSES = {
    "rounds": 2,
    "kind": "classification",
    "classes": ["no", "yes"],
    "confusion": [[90, 10], [5, 95]],
    "calibration": {"predicted": [0.1, 0.9], "observed": [0.2, 0.9], "count": [200, 200]},
}
EVALUATION = CLASSES | {
    "details": {
        "wrong": np.eye(10, dtype=int).tolist(),
        "count": np.full((10, 10), 4).tolist(),
        "first_round": {"pairs": 100, "wrong": 1, "wrong_pairs": [PAIR]},
    },
}
NAMES = [
    "all-curves-accuracy",
    "all-curves-loss",
    "all-boxes",
    "all-confusion",
    "all-calibration",
    "all-weighted-loss",
    "all-wrong",
    "new-mlp-pairs",
    "all-parameters",
    "all-training-time",
    "all-history",
]
PAGES = ["all-parameters", "all-training-time", "new-mlp-history", "new-mlp-slice"]


@pytest.fixture(scope="module")
def filled(make_store, tmp_path_factory):
    filled = make_store()
    artifacts = tmp_path_factory.mktemp("artifacts")
    filled.client.create_experiment("foldsweep", artifact_location=artifacts.as_uri())
    filled.add("old/cnn_ws_aux", (0.6, 0.7), "PRUNED")
    filled.add(
        "new/mlp", (0.5, 0.6), (0.8, 0.9), (0.7, 0.7), (0.6, 0.9), "FAIL", origin="report/row"
    )
    tag = distributions_json({"lr": FloatDistribution(1e-4, 1e-1, log=True)})
    filled.client.set_tag(filled.parents["new/mlp"], "foldsweep.distributions", tag)
    for (name, _), run_id in filled.trials.items():
        # `add` logs validation accuracy at epochs 2 and 4, validation loss only at the last one
        keys = ["train_loss", "train_accuracy"]
        keys += ["train_main_loss", "train_aux_loss"] if name.startswith("old") else []
        points = [Metric(key, 0.5, 0, step) for key in keys for step in (2, 4)]
        filled.client.log_batch(run_id, [*points, Metric("val_loss", 0.7, 0, 2)])
    run_id = filled.measure("new/mlp", 1, "evaluation", (0.7, 0.8))
    filled.client.log_dict(run_id, EVALUATION, "evaluation.json")
    return filled


@pytest.fixture(scope="module")
def store(filled):
    return open_store(filled.uri, "foldsweep")


@pytest.fixture(scope="module")
def drawn(store):
    """Figures of both sweeps, and the notices about them."""
    said: list[str] = []
    return sweep_figures(store, load_sweeps(store), notice=said.append), said


def test_all_figures_come_in_order_with_what_to_look_at(drawn):
    shown, _ = drawn
    assert list(shown) == NAMES
    for each in shown.values():
        assert each.caption.endswith((".", "?"))
        assert "\n" not in each.caption
        assert each.figure.axes


def test_what_cannot_be_drawn_is_said_in_a_line_each(drawn):
    _, said = drawn
    why = text("study.too-few-complete", least=10)
    assert sorted(said) == sorted(
        [
            text("gallery.no-importances", sweeps="new/mlp", why=why),
            text("gallery.not-evaluated", sweeps="old/cnn_ws_aux"),
            text("gallery.space-not-recorded", sweep="old/cnn_ws_aux"),
        ]
    )


def test_the_best_and_the_baseline_have_their_learning_curves(drawn):
    figure = drawn[0]["all-curves-accuracy"].figure
    titles = [axes.get_title() for axes in figure.axes if axes.get_visible()]
    assert titles == ["mlp, trial 1", "mlp, baseline", "cnn_ws_aux, trial 0"]
    drawn_lines = {line.get_label(): line.get_ydata() for line in figure.axes[0].lines}
    np.testing.assert_allclose(drawn_lines["validation"], [0.9999, 0.85])
    assert figure.axes[0].get_xlabel() == "epoch"
    assert "over 2 folds" in figure.get_supylabel()


def test_curves_that_are_not_there_are_not_drawn(store):
    (swept,) = load_sweeps(store, sweeps=["old"])
    pruned = swept.trials[1]
    keys = {"loss": "val_loss"}
    assert trial_curves(store, swept.trials[0], name="net", keys=keys) is not None
    assert trial_curves(store, pruned, name="net", keys={"loss": "no_such_metric"}) is None
    assert learning_curves(store, swept.trials[0], "roc_auc", name="net") is None


def test_artifacts_are_found_by_name(store, filled):
    run_id = load_sweeps(store, sweeps=["new"])[0].evaluations[0].run_id
    assert json_artifact(store, run_id, "evaluation.json") == EVALUATION
    assert json_artifact(store, run_id, "other.json") is None
    filled.client.log_text(run_id, "{", "damaged.json")
    with refused("load.artifact-unreadable", name="damaged.json", run=run_id):
        json_artifact(store, run_id, "damaged.json")


def test_sweeps_of_one_variant_are_told_apart():
    one, two = (sweep(name, trial(0, (0.5, 0.6), name=name)) for name in ("a/mlp", "b/mlp"))
    assert shown_names([one]) == {"a/mlp": "mlp"}
    assert shown_names([one, two]) == {"a/mlp": "a/mlp", "b/mlp": "b/mlp"}


def test_the_program_writes_pictures_and_pages(
    store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    argv = ["figures.py", "--sweep", "new", "--tracking-uri", store.tracking_uri]
    monkeypatch.setattr(sys, "argv", argv)
    assert figures.main() == 0
    said = capsys.readouterr().out
    names = [name.replace("all-", "new-mlp-") for name in NAMES if "weighted" not in name]
    pages = [name.replace("all-", "new-mlp-") for name in [*PAGES, "new-mlp-parallel"]]
    wanted = [f"{name}.png" for name in names] + [f"{name}.html" for name in pages]
    written = [line for line in said.splitlines() if line.startswith("figures/")]
    assert written == [f"figures/{name}" for name in wanted]
    assert {path.name for path in Path("figures").iterdir()} == {*wanted, "plotly.min.js"}
    assert json.dumps("new/mlp: slice")[1:-1].replace("/", r"\u002f") in (
        Path("figures/new-mlp-slice.html").read_text()
    )


@pytest.mark.parametrize(
    ("arguments", "kind", "values"),
    [
        (["kong/table3", "--space", "mlp"], "figures.option-with-table", {"option": "space"}),
        (["kong/table3", "--sweep", "a", "b"], "figures.table-of-several-sweeps", {}),
        (["--sweep", "nothing"], "analysis-results.name-unknown", {"name": "nothing"}),
        (["--beside", "kong/none"], "reproductions.row-not-run", {"row": "kong/none"}),
    ],
)
def test_what_cannot_be_meant_is_refused(store, arguments, kind, values, monkeypatch) -> None:
    argv = ["figures.py", *arguments, "--tracking-uri", store.tracking_uri]
    monkeypatch.setattr(sys, "argv", argv)
    with refused(kind, **values):
        figures.main()


# Other tasks ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def houses(make_store, tmp_path_factory):
    """Regression sweeps: a network with a curve, an estimator without, one without test rows."""
    filled = make_store()
    filled.client.create_experiment(
        "foldsweep", artifact_location=tmp_path_factory.mktemp("artifacts").as_uri()
    )
    of = {"task": "houses", "dataset": "houses", "measured": "val_rmse", "objective": "val_rmse"}
    filled.add("s/ridge", (50.0, 52.0), (55.0, 54.0), num_params=0.0, config={"alpha": 1.0}, **of)
    filled.add("s/mlp", (48.0, 49.0), (60.0, 62.0), **of)
    filled.add("s/svm", (58.0, 59.0), num_params=0.0, config={"c": 1.0}, **of)
    filled.client.set_tag(filled.parents["s/svm"], "test_rows", "0")
    points = np.random.default_rng(0).normal(100, 20, (60, 2)).tolist()
    found = {"rounds": 2, "kind": "regression", "points": points}
    for name in ("s/mlp", "s/ridge"):
        run_id = filled.measure(name, 0, "evaluation", (47.0, 48.0), measured="val_rmse")
        filled.client.log_dict(run_id, found, "evaluation.json")
    return filled


@pytest.fixture(scope="module")
def drawn_houses(houses):
    said: list[str] = []
    store = open_store(houses.uri, "foldsweep")
    return sweep_figures(store, load_sweeps(store), notice=said.append), said


def test_a_regression_has_its_own_figures_and_none_of_other_tasks(drawn_houses):
    shown, _ = drawn_houses
    assert list(shown) == [
        "all-curves-rmse",  # the loss has no curve: the store has it for one epoch only
        "all-boxes",
        "all-predicted",
        "all-residuals",
        "all-parameters",
        "all-training-time",
        "all-history",
    ]
    for each in shown.values():
        each.figure.draw_without_rendering()


def test_every_axis_and_caption_says_that_less_is_better(drawn_houses):
    shown, _ = drawn_houses
    assert "lower is better" in shown["all-curves-rmse"].figure.get_supylabel()
    assert "test rmse (lower is better)" in shown["all-boxes"].figure.axes[0].get_ylabel()
    assert (
        shown["all-training-time"].figure.axes[0].get_ylabel().startswith("validation rmse (low")
    )
    captions = (
        text("gallery.by-parameters", metric="rmse"),
        text("gallery.without-estimators"),
    )
    assert shown["all-parameters"].caption == " ".join(captions)
    assert "rmse\n(lower is better)" in shown["all-history"].figure.get_supylabel()
    best = {line.get_label(): line for line in shown["all-history"].figure.axes[1].lines}
    assert best["best so far"].get_ydata()[-1] == 48.5


def test_what_a_regression_lacks_is_said(drawn_houses):
    _, said = drawn_houses
    assert text("gallery.no-test-rows", sweeps="s/svm") in said


def test_an_estimator_that_is_fitted_at_once_has_no_curve(make_store):
    filled = make_store()
    options = {"task": "churn", "config": {"c": 1.0}, "num_params": 0.0}
    filled.add("a/svm", (0.7, 0.8), measured="val_roc_auc", objective="val_roc_auc", **options)
    run_id = filled.trials["a/svm", 0]
    store = open_store(filled.uri, "foldsweep")
    (swept,) = load_sweeps(store)
    once = replace(swept, trials=(replace(swept.trials[0], run_id=_copied_once(filled, run_id)),))
    said: list[str] = []
    shown = sweep_figures(store, [once], notice=said.append)
    assert text("gallery.no-curve", trials="a/svm trial 0") in said
    assert not [name for name in shown if "curves" in name]
    assert "a-svm-parameters" not in shown
    assert "a-svm-training-time" in shown


def _copied_once(filled, run_id):
    """Copy a run, only with the last value of every metric, and return the id of the copy."""
    found = filled.client.get_run(run_id)
    copy = filled.client.create_run(found.info.experiment_id).info.run_id
    points = [Metric(key, value, 0, 1) for key, value in found.data.metrics.items()]
    filled.client.log_batch(copy, points)
    return copy


def test_matrices_of_many_classes_have_a_figure_each(make_store, tmp_path):
    filled = make_store()
    filled.client.create_experiment("foldsweep", artifact_location=tmp_path.as_uri())
    for name in ("a/mlp", "a/svm"):
        filled.add(name, (0.7, 0.8), task="letters")
        found = CLASSES | {
            "classes": list("abcdefg"),
            "confusion": np.full((7, 7), 3).tolist(),
        }
        run_id = filled.measure(name, 0, "evaluation", (0.7,))
        filled.client.log_dict(run_id, found, "evaluation.json")
    store = open_store(filled.uri, "foldsweep")
    shown = sweep_figures(store, load_sweeps(store), notice=lambda line: None)
    assert {"a-mlp-confusion", "a-svm-confusion", "all-calibration"} <= set(shown)
    assert "all-confusion" not in shown


def test_rows_of_reports_are_refused_beside_a_task_without_such_pictures(houses):
    store = open_store(houses.uri, "foldsweep")
    with refused("gallery.row-without-figures", row="kong/w_net", task="houses"):
        sweep_figures(store, load_sweeps(store), beside=["kong/w_net"], notice=lambda line: None)
