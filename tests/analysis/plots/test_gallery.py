"""All figures of two sweeps, one of which is older, out of a store."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from mlflow.entities import Metric
from optuna.distributions import FloatDistribution

from analysis import figures
from analysis.load import json_artifact, open_store
from analysis.plots.curves import trial_curves
from analysis.plots.gallery import shown_names, sweep_figures
from analysis.results import load_sweeps
from foldsweep.errors import UserError
from sweeps.distributions import distributions_json
from tests.analysis.cases import sweep, trial

PAIR = {
    "images": np.zeros((2, 14, 14), dtype=int).tolist(),
    "digits": [3, 5],
    "target": 1,
    "probability": 0.07,
}
EVALUATION = {
    "rounds": 2,
    "wrong": np.eye(10, dtype=int).tolist(),
    "count": np.full((10, 10), 4).tolist(),
    "first_round": {"pairs": 100, "wrong": 1, "wrong_pairs": [PAIR]},
}
NAMES = [
    "all-curves-accuracy",
    "all-curves-loss",
    "all-weighted-loss",
    "all-boxes",
    "all-wrong",
    "new-mlp-pairs",
    "all-parameters",
    "all-training-time",
    "all-history",
    "new-mlp-slice",
    "new-mlp-parallel",
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
        # of validation accuracy the store has epochs 2 and 4, of validation loss only the last
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
    """Figures of both sweeps, and what was said of them."""
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
    assert sorted(said) == [
        "new/mlp: no importances, since 3 complete trials of the sampler are fewer than 10",
        "old/cnn_ws_aux: its best was not evaluated on test pairs: no heat map",
        "old/cnn_ws_aux: made before its space was recorded, so no Optuna figures",
    ]


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
    assert trial_curves(store, swept.trials[0], name="net") is not None
    assert trial_curves(store, pruned, name="net", keys={"loss": "no_such_metric"}) is None


def test_artifacts_are_found_by_name(store, filled):
    run_id = load_sweeps(store, sweeps=["new"])[0].evaluations[0].run_id
    assert json_artifact(store, run_id, "evaluation.json") == EVALUATION
    assert json_artifact(store, run_id, "other.json") is None
    filled.client.log_text(run_id, "{", "damaged.json")
    with pytest.raises(UserError, match=r"artifact damaged\.json of run .* cannot be read: "):
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
    ("arguments", "said"),
    [
        (["kong/table3", "--space", "mlp"], "--space is for sweeps: leave it out with a table"),
        (["kong/table3", "--sweep", "a", "b"], "a table is drawn of one repetition"),
        (["--sweep", "nothing"], "no sweeps of 'nothing'"),
        (["--beside", "kong/none"], "no row 'kong/none'; run sweeps/reproduce.py kong/none first"),
    ],
)
def test_what_cannot_be_meant_is_refused(store, arguments, said, monkeypatch) -> None:
    argv = ["figures.py", *arguments, "--tracking-uri", store.tracking_uri]
    monkeypatch.setattr(sys, "argv", argv)
    with pytest.raises(UserError, match=said):
        figures.main()
