import csv
import io
import json
import sys
from pathlib import Path

import pytest

from analysis.compare import main
from foldsweep.errors import UserError

GOOD = (0.95, 0.94, 0.96, 0.95, 0.95)
POOR = (0.80, 0.79, 0.81, 0.80, 0.81)


@pytest.fixture(scope="module")
def filled(make_store):
    filled = make_store()
    filled.add("a/mlp", POOR, tuple(v - 0.02 for v in POOR), "PRUNED", folds=5)
    filled.add("b/cnn", GOOD, tuple(v - 0.03 for v in GOOD), folds=5, origin="kong/w_net")
    filled.add("old/cnn", 0.99)
    filled.add("elsewhere/mlp", GOOD, folds=5, dataset="mnist")
    filled.add("empty/cnn_ws", "PRUNED", folds=5)
    filled.measure("b/cnn", 0, "evaluation", (0.9, 0.92))
    # the newest of each variant on digits is what is compared
    filled.add("c/mlp", POOR, "FAIL", folds=5)
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
    lines = said.splitlines()
    assert lines[0].startswith("cnn is best: an expected accuracy of 0.9")
    assert "14.8 points above mlp, and the difference is real (p = 0.0" in lines[0]
    assert "0.9500 ± 0.0071" in said
    assert "1 of 2" in said
    assert "really better" in said


def test_other_datasets_are_never_mixed_in_and_that_is_said(run):
    assert run().startswith("only sweeps on digits, the latest; for others --dataset mnist\n")
    assert run("--dataset", "mnist").startswith("mlp reaches an expected accuracy of 0.950.")


def test_sweeps_of_one_variant_can_be_compared_with_each_other(run):
    said = run("--sweep", "b", "d", "--by", "sweep")
    assert "b/cnn > d/cnn" in said or "d/cnn > b/cnn" in said
    assert "0.9100 ± 0.0141 (n = 2)" in said  # the evaluation of b's best


def test_a_sweep_without_a_complete_trial_is_left_out_by_name(run):
    assert "empty/cnn_ws is left out: no complete trial yet" in run("--sweep", "empty", "d")


def test_machines_get_csv_and_json(run):
    rows = list(csv.DictReader(io.StringIO(run("--dataset", "digits", "--csv", "-"))))
    assert [row["variant"] for row in rows] == ["cnn", "mlp"]
    assert float(rows[0]["val_accuracy"]) == pytest.approx(0.95)
    assert rows[0]["test_accuracy"] == ""

    assert "cnn is best" in run("--dataset", "digits", "--json", "found.json")
    found = json.loads(Path("found.json").read_text())
    assert found["pairs"][0]["verdict"] == "better"
    assert found["like_best"]["compared"] == 3


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--sweep", "nothing"], "has no sweeps of 'nothing'"),
        (["--sweep", "empty"], "empty/cnn_ws: no complete trial yet"),
        (["--sweep", "d", "--filter", "params.lr = '7'"], "no complete trial that passes"),
        (["--filter", "lr high"], "is no filter of MLflow"),
        (["--rope", "1"], "--rope must be at least 0 and below 1, but is 1.0"),
        (["--dataset", "digits", "--csv", "no/where.csv"], "cannot be written"),
        (["--experiment", "none"], "has no experiment 'none'"),
    ],
)
def test_mistakes_end_in_one_line(run, args, said):
    with pytest.raises(UserError, match=said) as caught:
        run(*args)
    assert "\n" not in str(caught.value)
