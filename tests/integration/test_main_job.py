"""The main use of foldsweep: sweep, inspect, export, evaluate, and continue the sweep."""

import json
import re
import socket
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from mlflow import MlflowClient

from analysis.load import open_store
from analysis.plots.study import rebuild
from analysis.results import load_sweeps
from tests.integration.user import TINY, User, check_mlflow, printed, scores, until
from tests.refusals import said_as, text

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

JOB = "job/cnn_ws_aux"
SCORE = r"0\.\d{4} ± 0\.\d{4}"


@pytest.fixture(scope="module")
def job(make_user: Callable[[str], User]) -> tuple[User, str]:
    """A user who has swept cnn_ws_aux, and the sweep's output."""
    user = make_user("job")
    end = user.run(
        *("sweeps/run.py", "--space", "cnn_ws_aux", "--name", "job", *TINY),
        *("--trials", 3, "--epochs", 2, "--scheduler", "none"),
        RAY_ADDRESS="127.0.0.1:1",  # without --address a local Ray is started anyway
    )
    assert end.stderr == ""
    return user, end.stdout


def begins(kind: str, *, trials: int) -> re.Pattern[str]:
    """Pattern of the first line of the sweep with this number of trials."""
    described = said_as(
        "messages.described",
        spaces="cnn_ws_aux",
        budget=text("messages.trials", trials=trials),
        folds=3,
        each="",
        rows="120 digits pairs",
    ).pattern
    line = re.escape(text(kind, name="job", sweep="DESCRIBED"))
    return re.compile(line.replace("DESCRIBED", described))


def test_a_sweep_says_what_it_does_and_what_came_of_it(job: tuple[User, str]) -> None:
    user, said = job
    assert said.startswith(text("images.digits", images=1797, why="") + "\n")
    assert begins("launch.starts", trials=3).search(said)
    tried = text("progress.tried", space="cnn_ws_aux", tried=3, budget=3)
    counted = re.escape(f"{tried} · {text('progress.running', trials=0)} · ")
    best = re.escape(text("progress.best", score="SCORE")).replace("SCORE", SCORE)
    assert re.search(rf"\d:\d\d  {counted}.* {best}", said)
    bests = [
        said_as("progress.best-is-baseline", trial=0),
        *(said_as("progress.best-is", trial=trial) for trial in (1, 2)),
    ]
    assert any(best.search(said) for best in bests)
    baseline = said_as("summary.baseline", trial=0, name="gervaise2020/cnn_ws_aux")
    assert baseline.search(said)
    assert (
        text("messages.ended-pausing", space="cnn_ws_aux", complete=3, paused=0, failed=0) in said
    )
    assert text("summary.best", space="cnn_ws_aux") in said
    assert "baseline" in said
    assert printed(said, "look") == User.shown("analysis/ui.py")


def test_mlflow_has_the_sweep_above_its_trials(job: tuple[User, str]) -> None:
    user, _ = job
    trials = user.study(JOB)
    runs = user.mlflow(JOB)
    check_mlflow(runs, trials)
    parent = runs[""]
    assert parent.tags["foldsweep.kind"] == "sweep"
    assert parent.params["objective"] == "val_accuracy"
    assert parent.datasets == ["digits"]
    assert (parent.tags["foldsweep.trials"], parent.tags["foldsweep.resource"]) == (
        "3",
        "2 epochs",
    )
    assert {run.tags["foldsweep.overlap"] for run in runs.values()} == {"0.5"}
    best = max(trials, key=lambda t: (t.value, -t.number))
    assert parent.last("best_val_accuracy") == parent.last("val_accuracy") == best.value
    assert parent.tags["best_trial"] == str(best.number)
    for trial in trials:
        run = runs[str(trial.number)]
        assert run.datasets == ["digits"]
        assert run.tags["variant"] == "larger_digit/cnn_ws_aux"
        assert run.tags["task"] == "larger_digit"
        assert run.tags["auxiliary"] == "true"
        assert run.tags["folds"] == "3"
        assert run.tags["foldsweep.nodes"].startswith(f"{socket.gethostname()} (")
        assert run.params == {
            key: str(tuple(value) if isinstance(value, list) else value)
            for key, value in json.loads(run.tags["foldsweep.config"]).items()
        }
        assert run.last("best_val_accuracy") == max(
            value for (key, _), value in run.points.items() if key == "val_accuracy"
        )
        assert run.last("num_params") == trial.user_attrs["result"]["num_params"]
        for fold in range(3):
            assert 0 <= run.last(f"fold_{fold}/val_digit_accuracy") <= 1


@pytest.mark.slow
def test_the_printed_commands_export_and_measure(job: tuple[User, str]) -> None:
    user, said = job
    exported = user.run_printed(printed(said, "export")).stdout
    file = user.folder / "best-job-cnn_ws_aux.yaml"
    assert exported.startswith(f"{file.name}: trial ")
    measured = user.run_printed(printed(said, "then measure")).stdout
    tested = said_as("evaluate.test", metric="accuracy").search(measured)
    assert tested is not None
    spread = said_as("evaluate.spread", rounds=10).search(tested[0])
    equal = text("evaluate.no-spread", rounds=10) in tested[0]  # so short a training may give
    assert equal or (spread and re.search(SCORE, tested[0]))
    uri = f"sqlite:///{user.folder}/mlflow.db"
    assert text("measurements.logged", uri=uri) in measured
    client = MlflowClient(tracking_uri=f"sqlite:///{user.folder}/mlflow.db")
    experiment = client.get_experiment_by_name("foldsweep")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    keys = [key for run in runs for key in run.data.metrics]
    assert sum(bool(re.fullmatch("round_.*/test_accuracy", key)) for key in keys) == 10
    commands = re.findall(r"python sweeps/evaluate\.py .+", file.read_text())
    assert len(commands) == 2
    repeated = user.run_printed(next(c for c in commands if c.endswith("--cv"))).stdout
    assert text("evaluate.equal") in repeated


def test_the_printed_command_compares(job: tuple[User, str]) -> None:
    user, said = job
    compared = user.run_printed(printed(said, "compare")).stdout
    headline, finding, *_ = compared.splitlines()  # three short trials on few pairs learn little
    constant = said_as("words.not-better-than-constant", best="cnn_ws_aux", metric="accuracy")
    assert constant.fullmatch(headline)
    assert said_as("words.alone", name="cnn_ws_aux").search(finding)
    assert said_as("words.expected-score", metric="accuracy").search(finding)
    level = {"configurations": "3 complete configurations", "sweep": "job/cnn_ws_aux"}
    assert said_as("words.none-distinguished", **level).search(compared)
    assert "0.9470 ± 0.0110" in compared  # the published figure
    assert printed(said, "report").endswith("analysis/report.py --sweep job --out job.html")


@pytest.mark.slow
def test_figures_are_drawn_of_a_study_that_is_the_sweeps_own(job: tuple[User, str]) -> None:
    user, _ = job
    uri = f"sqlite:///{user.folder}/mlflow.db"
    (sweep,) = load_sweeps(store := open_store(uri, "foldsweep"), sweeps=[JOB])
    rebuilt = rebuild(store, sweep)
    assert rebuilt is not None
    assert rebuilt.left_out == ()
    same = [(t.number, t.state, t.params, t.value) for t in rebuilt.study.trials]
    assert same == [(t.number, t.state, t.params, t.value) for t in user.study(JOB)]
    end = user.run("analysis/figures.py", "--sweep", "job")
    drawn = {path.name for path in (user.folder / "figures").iterdir()}
    assert {"job-cnn_ws_aux-weighted-loss.png", "job-cnn_ws_aux-history.html"} <= drawn
    assert "job-cnn_ws_aux-wrong.png" in drawn  # since it was evaluated above
    assert end.stderr == ""


@pytest.mark.slow  # half a minute; resumption after a kill is tested in the default run
def test_a_sweep_goes_on_with_more_trials(job: tuple[User, str]) -> None:
    user, said = job
    before = scores(user.study(JOB))
    command = printed(said, "more")
    assert command == f"{User.shown('sweeps/run.py')} --resume job --trials 6"
    said = user.run_printed(command).stdout
    assert begins("launch.resumes", trials=6).search(said)
    assert (
        text("messages.ended-pausing", space="cnn_ws_aux", complete=6, paused=0, failed=0) in said
    )
    trials = user.study(JOB)
    assert {n: trial for n, trial in scores(trials).items() if n in before} == before
    assert len({json.dumps(t.params, sort_keys=True) for t in trials}) == 6
    check_mlflow(runs := user.mlflow(JOB), trials)
    # parameters cannot change in MLflow, tags can
    assert runs[""].params["trials"] == "3"
    assert runs[""].tags["foldsweep.trials"] == "6"
    assert sum(r["run"] in map(str, before) for r in user.records(JOB, "start")) == 3


SICK = """
from dataclasses import dataclass
from pathlib import Path
from torch import nn
from foldsweep import Point, SearchSpace, TrialConfig, tune, variant
from trainables.tasks.larger_digit import TASK

LOG = Path({log!r})
LOG.touch()

@dataclass(frozen=True, kw_only=True)
class SickConfig(TrialConfig):
    number: int = 0

class SickNet(nn.Module):
    def __init__(self, config, shapes):
        super().__init__()
        self.number = config.number
        layers = nn.Linear(392, 16), nn.ReLU(), nn.Linear(16, shapes.outputs)
        self.layers = nn.Sequential(nn.Flatten(), *layers)
        note(f"made-{{self.number}}")

    def forward(self, pair):
        number, tries = self.number, LOG.read_text().split().count(f"sick-{{self.number}}")
        if self.training:  # once it is built
            {sickness}
        return self.layers(pair)

def note(word):
    with LOG.open("a") as log:
        log.write(f"{{word}}\\n")

def sick(number, said):
    note(f"sick-{{number}}")
    raise RuntimeError(said)

def space():
    rates = dict(enumerate({rates}))
    return SearchSpace(
        name={name!r},
        variant=variant("sick", TASK, SickNet, SickConfig),
        domains={{"lr": tune.loguniform(1e-4, 1e-2)}},
        points=[
            Point(name=f"{{i}}", config={{"lr": rates.get(i, 1e-3), "number": i}})
            for i in range(8)
        ],
    )
"""
RECOVERS = "if number == 2 or (number == 1 and not tries): sick(number, 'out of\\nluck')"
BREAKS = "if number >= 2: sick(number, 'no such layer')"


def sick_space(folder: Path, name: str, *, sickness: str = "", rates: str = "()") -> Path:
    """Write a space file with failing points; `NAME.log` counts networks and failures."""
    code = SICK.format(
        log=str(folder / f"{name}.log"), name=name, sickness=sickness or "pass", rates=rates
    )
    path = folder / f"{name}.py"
    path.write_text(code)
    return path


@pytest.mark.slow  # crashes cost actor restarts: half a minute on 2 idle cores
def test_two_sweeps_at_once_one_of_them_sick(user: User) -> None:
    """Both share a folder and MLflow; one has two spaces, two objectives and a database."""
    folder = user.folder
    sick_space(folder, "recovers", sickness=RECOVERS)
    sick_space(folder, "diverges", rates="(1e-3, 1e30, 1e-2, 1e30)")
    sick_space(folder, "broken", sickness=BREAKS, rates="(1e30, 1e30)")
    sick = user.start(
        *("sweeps/run.py", "--space", "recovers.py", "diverges.py", "broken.py", *TINY),
        *("--name", "sick", "--trials", 8, "--epochs", 2, "--scheduler", "none"),
        *("--concurrency", 2, "--max-failures", 1),
    )
    sound = user.start(
        *("sweeps/run.py", "--space", "mlp", "cnn", "--name", "two", "--epochs", 2, *TINY),
        *("--objective", "val_accuracy", "num_params", "--study", "sqlite:///study.db"),
        *("--trials", 3, "--concurrency", 1),
    )
    until((folder / "runs/two/settings.json").exists, sound)
    refused = user.run(*("sweeps/run.py", "--space", "mlp", "--name", "two", *TINY), code=2)
    assert refused.stderr == f"error: {text('launch.name-taken', name='two')}\n"
    said_sound = user.end(sound).stdout
    said_sick = user.end(sick, code=1).stdout

    # two spaces, each with its own study, on the same folds, and a Pareto front
    assert text("launch.several-objectives") in said_sound
    parents = []
    for space in ("mlp", "cnn"):
        assert (
            text("messages.ended-pausing", space=space, complete=3, paused=0, failed=0)
            in said_sound
        )
        study = optuna.load_study(
            study_name=f"two/{space}", storage=f"sqlite:///{folder}/study.db"
        )
        assert len(study.trials) == 3
        assert not (folder / "runs/two" / space / "study.journal").exists()
        for trial in study.trials:
            accuracy, size = trial.values
            assert 0 <= accuracy <= 1
            assert size == trial.user_attrs["result"]["num_params"]
        runs = user.mlflow(f"two/{space}")
        assert {run.status for run in runs.values()} == {"FINISHED"}
        assert set(runs) == {"", "0", "1", "2"}
        parents.append(runs[""])
        front = {t.number for t in study.best_trials}
        title = text("summary.front", space=space, configurations=len(front))
        table = said_sound.partition(title)[2].partition("└")[0]
        shown = [int(n) for n in re.findall(r"^│ +(\d+) │", table, re.MULTILINE)]
        assert set(shown[: len(front)]) == front
    assert parents[0].tags["data_digest"] == parents[1].tags["data_digest"]
    assert parents[0].datasets == parents[1].datasets

    # a trial that crashes is tried again, up to --max-failures times
    assert (
        text("messages.ended-pausing", space="recovers", complete=7, paused=0, failed=1)
        in said_sick
    )
    for number in (1, 2):
        error = said_as("attempts.traceback", error="RuntimeError: out of luck").pattern
        failed = re.escape(text("attempts.of-trial", trial=number, error="ERROR"))
        assert re.search(rf"\n      {failed.replace('ERROR', error)}", said_sick)
    trials = user.study("sick/recovers")
    assert [t.state.name for t in trials] == ["COMPLETE"] * 2 + ["FAIL"] + ["COMPLETE"] * 5
    log = (folder / "recovers.log").read_text().split()
    assert log.count("sick-1") == 1
    # one network to count parameters and one for each fold, then all of them again after the crash
    assert log.count("made-1") == 2 * 4
    assert log.count("sick-2") == 2  # the first attempt and one retry (--max-failures 1)
    runs = user.mlflow("sick/recovers")
    assert runs["2"].status == "FAILED"
    kept = "runs/sick/recovers/errors/trial_00002.txt"
    error = text("attempts.traceback", error="RuntimeError: out of luck", file=kept)
    assert runs["2"].tags["foldsweep.error"] == error
    assert f"{folder}/recovers.py" in (folder / kept).read_text()
    assert "RuntimeError: out of\nluck" in (folder / kept).read_text()
    artifacts = folder / "mlartifacts"
    (uploaded,) = artifacts.rglob(f"{runs['2'].run_id}/artifacts/trial_00002.txt")
    assert uploaded.read_text() == (folder / kept).read_text()
    assert runs["3"].status == "FINISHED"

    # a trial that diverges is not tried again, and the next one runs in its place
    assert (
        text("messages.ended-pausing", space="diverges", complete=6, paused=0, failed=2)
        in said_sick
    )
    trials = user.study("sick/diverges")
    assert [t.number for t in trials if t.state.name == "FAIL"] == [1, 3]
    runs = user.mlflow("sick/diverges")
    for number in (1, 3):
        error = trials[number].user_attrs["failure"][1]
        assert said_as("trials.loss-not-finite").fullmatch(error)
        assert runs[str(number)].tags["foldsweep.error"] == error
    log = (folder / "diverges.log").read_text().split()
    assert log.count("made-1") == log.count("made-3") == 4

    # if most trials fail, the sweep stops and says why
    trials = user.study("sick/broken")
    assert said_as("messages.given-up", why=text("sweep.most-failed")).search(said_sick)
    assert "RuntimeError: no such layer" in said_sick
    assert len([t for t in trials if t.state.name == "FAIL"]) == 5
    assert len([t for t in trials if t.state.name != "WAITING"]) <= 7
    assert {run.status for run in user.mlflow("sick/broken").values()} <= {
        *("FAILED", "FINISHED", "KILLED")
    }
    user.is_gone()
