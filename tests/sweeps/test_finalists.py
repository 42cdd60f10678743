"""Finals in this process, with a stand-in for the tracker that keeps the logged values."""

import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from foldsweep.programs import command
from foldsweep.recipe import Recipe
from sweeps import finalists, measurements
from sweeps.rounds import Training
from tests.refusals import refused, said_as, text
from tests.trainables.cases import recipe_of
from trainables.data.digits import digits_source
from trainables.data.pairs import draw_pairs
from trainables.models.pairs.variants import MLP


class CatchingTracker:
    """Tracker that keeps the tags and values of each run by name."""

    runs: dict[str, tuple[dict, dict]] = {}
    refused = ""

    def __init__(self, folder, target):
        self.sweep = target.sweep

    def start_sweep(self, name, params, tags, dataset):
        self.name, self.tags = name, tags

    def log_metrics(self, number, values, step):
        CatchingTracker.runs[self.name] = (self.tags, values)

    def close(self, wait_s):
        return 0

    def __getattr__(self, name):
        return lambda *args, **kwargs: None


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(measurements, "Tracker", CatchingTracker)
    monkeypatch.setattr(finalists.torch, "set_num_threads", lambda threads: None)
    CatchingTracker.runs = {}

    def call(*args):
        monkeypatch.setattr(sys, "argv", ["sweeps/finalists.py", *args])
        code = finalists.main()
        return code, capsys.readouterr().out

    return call


def recipe(name, *, lr=0.01, epochs=1, **changes):
    data = draw_pairs(digits_source(), seed=0, train_pairs=30, test_pairs=11)
    config = MLP.config.from_dict({"batch_size": 8, "epochs": epochs, "lr": lr})
    values = {"trial": 4, "sweep": "first/mlp", **changes}
    recipe_of(MLP, config, data, **values).save(Path(name), comment="")
    return name


def folds(values):
    return [values[f"fold_{i}/val_accuracy"] for i in range(6)]


def test_every_finalist_is_judged_on_the_same_fresh_folds(run):
    same = recipe("a.yaml"), recipe("b.yaml", trial=7)
    other = recipe("c.yaml", trial=8, lr=0.1)
    code, said = run(*same, other, other, "--repeats", "2")
    assert code == 0
    words = "2 x 3 fresh folds of 30 of the same digits pairs, seed 0, digest "
    begin = said_as("finalists.begin", files=3).search(said)
    assert begin is not None
    assert words in begin[0]
    assert said.rstrip().endswith("analysis/compare.py --sweep first/mlp")
    (tags, first), (_, second), (_, third) = CatchingTracker.runs.values()
    assert tags["foldsweep.kind"] == "finals"
    assert (tags["foldsweep.sweep"], tags["foldsweep.trial"]) == ("first/mlp", "4")
    assert tags["foldsweep.protocol"].startswith(words)
    assert tags["foldsweep.overlap"] == "0.5"
    assert tags["foldsweep.fresh_rows"] == "false"
    assert {t["foldsweep.protocol"] for t, _ in CatchingTracker.runs.values()} == {
        tags["foldsweep.protocol"]
    }
    assert folds(first) == folds(second)  # folds do not depend on the trial's number
    assert folds(first) != folds(third)
    assert folds(first)[:3] != folds(first)[3:]  # each repeat has different folds
    assert first["val_accuracy"] == pytest.approx(sum(folds(first)) / 6)


def test_another_seed_means_other_folds(run):
    run(recipe("a.yaml"), "--repeats", "2")
    run(recipe("b.yaml", trial=5), "--repeats", "2", "--seed", "1")
    (one, first), (other, second) = CatchingTracker.runs.values()
    assert folds(first) != folds(second)
    assert one["foldsweep.protocol"] != other["foldsweep.protocol"]


def compared(said):
    """Arguments of the suggested command, after the name of the program."""
    line = re.escape(text("finalists.compare", command="COMMAND"))
    pattern = line.replace("COMMAND", r".*analysis/compare\.py (.*)")
    return re.findall(rf"^{pattern}$", said, re.MULTILINE)


def test_finals_are_compared_in_the_store_that_was_given(run, tmp_path):
    _, said = run(
        *(recipe("a.yaml"), recipe("b.yaml", trial=5), "--repeats", "1"),
        *("--experiment", "my own", "--tracking-uri", "sqlite:///a b.db"),
    )
    assert compared(said) == [
        f"--sweep first/mlp --tracking-uri 'sqlite:///{tmp_path}/a b.db' --experiment 'my own'"
    ]


def test_the_sweeps_of_all_finalists_are_compared_once_each(run):
    recipe("a.yaml")
    of_mlp = Recipe.load(Path("a.yaml"))
    of_cnn = replace(of_mlp, sweep="first/cnn", variant="larger_digit/cnn")
    settings = finalists.FinalistsSettings(files=())
    (line,) = finalists._compare_commands(settings, [of_mlp, of_cnn, replace(of_mlp, trial=5)])
    assert line.endswith("analysis/compare.py --sweep first/mlp first/cnn")


def test_where_two_sweeps_are_of_one_variant_each_has_a_row(run):
    _, said = run(recipe("a.yaml"), recipe("b.yaml", sweep="second/mlp"), "--repeats", "1")
    assert compared(said) == ["--sweep first/mlp second/mlp"]


def test_finals_in_several_stores_are_compared_in_each(run):
    elsewhere = {"tracking_uri": "http://***@host:5000", "experiment": "theirs"}
    files = recipe("a.yaml"), recipe("b.yaml", sweep="second/mlp", mlflow=elsewhere)
    _, said = run(*files, "--repeats", "1", "--trust")
    assert compared(said) == [
        "--sweep first/mlp",
        "--sweep second/mlp --experiment theirs",
    ]


def test_the_store_that_a_file_names_is_used_with_trust_only(run, tmp_path):
    theirs = {"tracking_uri": f"sqlite:///{tmp_path}/their/mlflow.db", "experiment": "theirs"}
    _, said = run(recipe("a.yaml", mlflow=theirs), "--repeats", "1")
    ours = {"uri": f"sqlite:///{tmp_path}/mlflow.db", "experiment": "foldsweep"}
    named = {"uri": theirs["tracking_uri"], "experiment": "theirs"}
    elsewhere = text("measurements.elsewhere", sweep="first/mlp", **named)
    assert said.startswith(f"{text('measurements.go-to', **ours)}\n{elsewhere}\n")
    assert compared(said) == ["--sweep first/mlp"]
    assert not (tmp_path / "their").exists()
    _, said = run("a.yaml", "--repeats", "1", "--trust")
    assert said.startswith(text("measurements.go-to", **named))


@pytest.mark.parametrize(
    ("args", "kind", "values"),
    [
        (("--tracking-uri", "nosuch"), "tracking.uri-not-absolute", {"uri": "nosuch"}),
        (("--tracking-uri", "ftp://x"), "tracking.scheme-unknown", {"scheme": "ftp"}),
        (("--tracking-uri", "sqlite:///a.yaml"), "tracking.store-not-sqlite", {}),
        (
            ("--storage", "a.yaml"),
            "measurements.folder-unwritable",
            {"folder": "a.yaml/first", "why": "Not a directory"},
        ),
    ],
)
def test_where_it_cannot_be_logged_is_said_before_anything_is_trained(
    run, monkeypatch, args, kind, values
):
    recipe("a.yaml")
    monkeypatch.setattr(finalists, "fold_cohort", lambda *_, **__: pytest.fail("it was trained"))
    with refused(kind, **values) as caught:
        run("a.yaml", *args)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("folder", ["", "./"])
def test_interrupted_it_says_how_to_go_on_with_the_rest(run, monkeypatch, folder):
    train = Training.run

    def interrupted(self, after_step):
        if self.cohort.members[0].config.lr == 0.1:
            raise KeyboardInterrupt
        return train(self, after_step)

    monkeypatch.setattr(Training, "run", interrupted)
    files = recipe("a.yaml"), recipe("b.yaml", trial=7, lr=0.1), recipe("c.yaml", trial=9)
    code, said = run(*(f"{folder}{file}" for file in files), "--repeats", "1")
    assert code == 130
    resume = command("sweeps/finalists.py", "--repeats", "1", "b.yaml", "c.yaml")
    assert text("finalists.interrupted", logged=1, files=3, resume=resume) in said
    assert [tags["foldsweep.trial"] for tags, _ in CatchingTracker.runs.values()] == ["4"]


def test_what_was_trained_before_a_mistake_is_logged(run):
    files = recipe("a.yaml"), recipe("b.yaml", trial=7, lr=1e30, epochs=3)
    with refused("averages.loss-not-finite"):
        run(*files, "--repeats", "1")
    assert [tags["foldsweep.trial"] for tags, _ in CatchingTracker.runs.values()] == ["4"]


@pytest.mark.slow
def test_no_bit_depends_on_the_number_of_processes(run, helped):
    files = recipe("a.yaml", epochs=2), recipe("b.yaml", trial=7, lr=0.1)
    found = []
    for processes in ("1", "2"):
        code, said = run(*files, "--repeats", "2", "--concurrency", processes)
        assert code == 0
        order = [
            said.index(text("finalists.trained", number=n, files=2, sweep="first/mlp", trial=t))
            for n, t in ((1, 4), (2, 7))
        ]
        assert order == sorted(order)
        values = [dict(values) for _, values in CatchingTracker.runs.values()]
        for own in values:
            own.pop("evaluation_time_s")
        found.append(values)
    assert found[0] == found[1]
    assert found[0][0] != found[0][1]


@pytest.mark.parametrize(
    ("args", "kind", "values"),
    [
        ((), "finalists.no-files", {}),
        (
            ("a.yaml", "--repeats", "0"),
            "programs.option-out-of-range",
            {"option": "repeats", "rule": text("rules.at-least", least=1), "value": "0"},
        ),
        (("a.yaml", "--seed", "-1"), "measurements.seed-out-of-range", {"seed": -1}),
        (("none.yaml",), "recipe.file-unreadable", {"path": "none.yaml"}),
        (
            ("a.yaml", "other.yaml"),
            "finalists.not-comparable",
            {"path": "other.yaml", "name": "folds", "value": 4, "first": "a.yaml", "other": 3},
        ),
        (("away.yaml",), "settings.name-invalid", {"option": "sweep name"}),
    ],
)
def test_mistakes_end_in_one_line(run, args, kind, values):
    recipe("a.yaml")
    recipe("other.yaml", folds=4)
    recipe("away.yaml", sweep="../mlp")
    with refused(kind, **values) as caught:
        run(*args)
    assert "\n" not in str(caught.value)
