import csv
import io
import json
import sys
from pathlib import Path

import pytest

from analysis.compare import main
from tests.refusals import refused, said_as, text

GOOD = (0.95, 0.94, 0.96, 0.95, 0.95)
POOR = (0.80, 0.79, 0.81, 0.80, 0.81)
CNN_BETTER = said_as(
    "words.better",
    best="cnn",
    other="mlp",
    budgets="",
    score=text("words.expected-score", metric="accuracy", score="0.9450"),
    gap=text("words.above", difference="14.3 percentage points", other="mlp"),
)


def alone(name, metric, value):
    score = text("words.expected-score", metric=metric, score=value)
    return text("words.alone", name=name, score=score)


def lower_is_better(metric):
    return text("words.direction", metric=metric, better="lower")


@pytest.fixture(scope="module")
def filled(make_store):
    filled = make_store()
    filled.add("a/mlp", POOR, tuple(v - 0.02 for v in POOR), "PRUNED", folds=5)
    filled.add("b/cnn", GOOD, tuple(v - 0.03 for v in GOOD), folds=5, origin="kong/w_net")
    filled.add("old/cnn", 0.99)
    filled.add("elsewhere/mlp", GOOD, folds=5, dataset="mnist")
    filled.add("empty/cnn_ws", "PRUNED", folds=5)
    filled.measure("b/cnn", 0, "evaluation", (0.9, 0.92))
    filled.measure("d/cnn", 0, "ensemble", (0.96, 0.98))
    filled.add("d/mlp", POOR, "FAIL", folds=5)
    filled.add("d/cnn", GOOD, tuple(v - 0.01 for v in GOOD), folds=5)
    return filled


@pytest.fixture
def run(filled, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def call(*args):
        monkeypatch.setattr(sys, "argv", ["compare.py", *args, "--tracking-uri", filled.uri])
        assert main() == 0
        return capsys.readouterr().out

    return call


def test_the_answer_comes_first(run):
    said = run("--dataset", "digits")
    assert any(map(CNN_BETTER.fullmatch, said.splitlines()))
    assert "0.9500 ± 0.0071" in said
    assert "1 of 2" in said
    assert "pairwise tests" in said
    assert f" {text('words.verdict-better')} │" in said


def test_a_terminal_has_the_best_in_bold_and_verdicts_in_colour(run, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    said = run("--dataset", "digits")
    assert "\x1b[1mcnn" in said
    assert f"\x1b[1;36m{text('words.verdict-better')}\x1b[0m" in said


def test_columns_are_those_that_have_values(run):
    assert "ensemble" not in run("--sweep", "b")
    said = run("--sweep", "d")
    (head,) = [line for line in said.splitlines() if " ensemble ┃" in line]
    place = [cell.strip() for cell in head.split("┃")].index("ensemble")
    row = next(line for line in said.splitlines() if line.startswith("│ cnn "))
    cells = [cell.strip() for cell in row.split("│")]
    assert cells[place] == "0.9700 ± 0.0141 (n = 2)"
    assert not {"finals", "test", "published"} & {cell.strip() for cell in head.split("┃")}


def test_other_datasets_are_never_mixed_in_and_that_is_said(run):
    which = text("selection.on-data", data="digits")
    only = text("selection.only", which=which, others="--dataset mnist")
    assert run().splitlines()[0] == only
    assert run("--dataset", "mnist").startswith(alone("mlp", "accuracy", "0.9500"))


def test_sweeps_of_one_variant_can_be_compared_with_each_other(run):
    said = run("--sweep", "b", "d/cnn")
    assert "b/cnn vs d/cnn" in said or "d/cnn vs b/cnn" in said
    assert "0.9100 ± 0.0141 (n = 2)" in said  # evaluation of b's best trial


def test_a_sweep_without_a_complete_trial_is_left_out_by_name(run):
    said = text("selection.none-complete", sweep="empty/cnn_ws")
    assert said in run("--sweep", "empty", "d")


def test_machines_get_csv_and_json(run):
    rows = list(csv.DictReader(io.StringIO(run("--dataset", "digits", "--csv", "-"))))
    assert [row["variant"] for row in rows] == ["cnn", "mlp"]
    assert float(rows[0]["score"]) == pytest.approx(0.95)
    assert (rows[0]["objective"], rows[0]["test_score"]) == ("accuracy", "")

    assert CNN_BETTER.search(run("--dataset", "digits", "--json", "found.json"))
    found = json.loads(Path("found.json").read_text())
    assert found["tests"][0]["verdict"] == "better"
    assert found["choice"]["compared"] == 2
    assert [t["trial"] for t in found["choice"]["equivalent"]] == [0]


@pytest.mark.parametrize(
    ("args", "kind", "values"),
    [
        (["--sweep", "nothing"], "analysis-results.name-unknown", {"name": "nothing"}),
        (
            ["--sweep", "empty"],
            "selection.no-complete-trial",
            {"sweeps": "empty/cnn_ws"},
        ),
        (
            ["--sweep", "d", "--filter", "params.lr = '7'"],
            "selection.none-passes",
            {"filter": "params.lr = '7'"},
        ),
        (["--filter", "lr high"], "analysis-results.filter-invalid", {"filter": "lr high"}),
        (["--rope", "-1"], "selection.rope-out-of-range", {"rope": -1.0}),
        (
            ["--objective", "f1"],
            "selection.objective-unmeasured",
            {"objective": "f1", "known": "accuracy, loss"},
        ),
        (
            ["--task", "prices"],
            "analysis-results.name-unknown",
            {"name": "prices", "known": "larger_digit"},
        ),
        (
            ["--dataset", "digits", "--csv", "no/where.csv"],
            "files.file-not-writable",
            {"path": "no/where.csv"},
        ),
        (["--experiment", "none"], "load.experiment-unknown", {"name": "none"}),
    ],
)
def test_mistakes_end_in_one_line(run, args, kind, values):
    with refused(kind, **values) as caught:
        run(*args)
    assert "\n" not in str(caught.value)


def test_what_the_bootstrap_of_a_sweep_expects_is_said(make_store, monkeypatch, capsys):
    filled = make_store()
    filled.add("a/mlp", GOOD, POOR, folds=5)
    filled.add("a/cnn", GOOD, folds=5)
    for name, value in (("", 0.94), ("_low", 0.91), ("_high", 0.96), ("_trials", 2.0)):
        filled.client.log_metric(filled.parents["a/mlp"], f"bootstrap_val_accuracy{name}", value)
    monkeypatch.setattr(sys, "argv", ["compare.py", "--tracking-uri", filled.uri])
    assert main() == 0
    said = capsys.readouterr().out
    lines = {line.split()[1]: line for line in said.splitlines() if line.startswith("│")}
    assert "│   0.9400 │ 0.9100 to 0.9600 │" in lines["mlp"]
    assert " to " not in next(line for line in said.splitlines() if line.startswith("│ cnn  "))
    assert text("words.expected-with-interval", caveat="") in said
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--csv", "-"])
    assert main() == 0
    rows = {row["name"]: row for row in csv.DictReader(io.StringIO(capsys.readouterr().out))}
    assert (rows["mlp"]["fresh_high"], rows["cnn"]["fresh_high"]) == ("0.96", "")


# Several tasks ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tasks(make_store):
    """One experiment with a regression, a task with another metric, and an earlier version's."""
    filled = make_store()
    houses = {"task": "houses", "dataset": "houses", "measured": "val_rmse", "folds": 5}
    houses["objective"] = "val_rmse"
    filled.add("early/mlp", GOOD, folds=5, without=("task", "foldsweep.metrics"))
    filled.add("a/mlp", GOOD, folds=5)
    filled.add("b/mlp", (58.0, 57.0, 59.5, 58.0, 60.0), (70.0, 71.0, 69.0, 70.0, 72.0), **houses)
    filled.add("b/ridge", (50.0, 49.0, 51.5, 50.2, 52.0), "FAIL", num_params=0.0, **houses)
    filled.add("b/svm", (50.2, 49.1, 51.4, 50.4, 51.9), num_params=0.0, **houses)
    filled.measure("b/ridge", 0, "evaluation", (49.0, 51.0), measured="val_rmse")
    return filled


@pytest.fixture
def run_tasks(tasks, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def call(*args):
        monkeypatch.setattr(sys, "argv", ["compare.py", *args, "--tracking-uri", tasks.uri])
        assert main() == 0
        return capsys.readouterr().out

    return call


def test_errors_are_compared_lowest_first(run_tasks):
    found = json.loads(run_tasks("--task", "houses", "--json", "-"))
    assert [row["variant"] for row in found["rows"]] == ["ridge", "svm", "mlp"]
    assert (found["objective"], found["better"], found["rope"]) == ("rmse", "lower", 0.5)
    ridge, _, mlp = found["rows"]
    assert (ridge["score"], ridge["test_score"]) == (pytest.approx(50.54), 50.0)
    assert mlp["expected_score"] > mlp["score"] == pytest.approx(58.5)
    tests = {(t["a"], t["b"]): t for t in found["tests"]}
    assert tests["ridge", "svm"]["verdict"] == "inconclusive"
    assert tests["ridge", "mlp"]["verdict"] == "better"
    assert tests["ridge", "mlp"]["difference"]["high"] < 0
    assert found["choice"]["compared"] == 1


def test_the_tables_are_in_the_metrics_own_unit(run_tasks):
    said = run_tasks("--task", "houses")
    score = text("words.expected-score", metric="rmse", score="50.540")
    budgets = f" ({text('analysis-rows.trials', a=2, b=1)})"
    ahead = said_as("words.ahead", best="ridge", budgets=budgets, score=score)
    headline = next(filter(said_as("words.inconclusive").fullmatch, said.splitlines()))
    assert ahead.search(headline)
    assert f"best configurations by {lower_is_better('rmse')}" in said
    assert "50.000 ± 1.414 (n = 2)" in said
    assert "published" not in said
    assert "accuracy" not in said


HOUSES = text("selection.of-task", task="houses")


def test_tasks_are_never_pooled_and_that_is_said(run_tasks):
    said = run_tasks()
    first, second, *_ = said.splitlines()
    why = text("load.sweep-of-earlier-version")
    assert first == text("analysis-results.left-out", sweep="early/mlp", why=why)
    assert second == text("selection.only", which=HOUSES, others="--task larger_digit")
    assert "ridge" in said
    assert "0.95" not in said
    mlp = run_tasks("--variant", "larger_digit/mlp")
    assert alone("mlp", "accuracy", "0.9500") in mlp


def test_both_names_of_a_variant_are_known(run_tasks):
    for name in ("ridge", "houses/ridge"):
        assert alone("ridge", "rmse", "50.540") in run_tasks("--variant", name)


def test_another_metric_can_be_asked_for(run_tasks):
    said = run_tasks("--task", "houses", "--objective", "loss")
    by_loss = {"sweep": "b/ridge", "optimised": "rmse", "metric": "loss"}
    assert text("selection.compared-by", **by_loss) in said
    assert f"best configurations by {lower_is_better('loss')}" in said
    same = run_tasks("--task", "houses", "--objective", "val_rmse")
    assert not said_as("selection.compared-by").search(same)


def test_a_sweep_that_has_not_measured_the_metric_is_left_out(make_store, monkeypatch, capsys):
    filled = make_store()
    filled.add("a/mlp", GOOD, folds=5)
    filled.add("b/cnn", GOOD, folds=5, measured="val_roc_auc", objective="val_roc_auc")
    monkeypatch.setattr(sys, "argv", ["compare.py", "--every", "--tracking-uri", filled.uri])
    assert main() == 0
    said = capsys.readouterr().out
    assert text("selection.unmeasured", sweep="a/mlp", metric="roc_auc") in said.splitlines()
    assert alone("cnn", "roc_auc", "0.9500") in said


def test_nothing_but_the_data_goes_into_a_pipe(tasks, monkeypatch, capsys):
    argv = ["compare.py", "--json", "-", "--tracking-uri", tasks.uri]
    monkeypatch.setattr(sys, "argv", argv)
    assert main() == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["task"] == "houses"
    assert said_as("selection.only", which=HOUSES).search(said.err)


@pytest.mark.parametrize("columns", ["20", "80"])
def test_no_table_is_cut_on_a_narrow_terminal(columns, run, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("rich.console.Console.is_terminal", True)
    narrow = run()
    monkeypatch.setenv("COLUMNS", "400")
    assert narrow == run()
    assert "…" not in narrow
