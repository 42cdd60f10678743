"""Dry runs: their output, and that they leave no files."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import ray

from search_spaces.space import SearchSpace
from sweeps import rehearsal, run
from sweeps.cluster import Cluster
from sweeps.rehearsal import OFFLINE, estimate, rehearse
from sweeps.run import read_settings
from sweeps.settings import SweepSettings
from sweeps.settings_file import save_settings
from tests.refusals import refused, said_as, text

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    def start(self: Cluster) -> None:
        raise AssertionError("a dry run starts no Ray")

    monkeypatch.setattr(Cluster, "start", start)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(OFFLINE, "")  # a dry run sets it, in a process of its own
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    rng = np.random.default_rng(0)
    rows = [f"{rng.normal():.3f},{'ab'[i % 2]},{'ny'[int(rng.integers(2))]}" for i in range(90)]
    (tmp_path / "table.csv").write_text("\n".join(["size,colour,left", *rows]) + "\n")
    return tmp_path


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Returns the output of a dry run, given its command line."""

    def of(*args: str) -> str:
        stored, settings = read_settings([*args, "--dry-run"])
        settings.validate()
        assert rehearse(settings, stored) == 0
        assert not ray.is_initialized()
        return capsys.readouterr().out

    return of


def everything(folder: Path) -> dict[str, tuple[bytes, int]]:
    found = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in found}


OWN = ("--data", "table.csv", "--target", "left", "--folds", "3")


def folds(train: int, held_out: int, test: str) -> str:
    """The line on three folds and 18 test rows."""
    rows = text(test, rows=18)
    return text("rehearsal.folds", folds=3, train=train, held_out=held_out, test=rows)


def shaped(start: str, kind: str, **values: str) -> re.Pattern[str]:
    """Pattern of a line that has patterns as values, others being any."""
    line = said_as(kind, **{name: f"<{name}>" for name in values}).pattern
    for name, value in values.items():
        line = line.replace(f"<{name}>", value)
    return re.compile(f"^{start}{line}", re.MULTILINE)


def test_all_that_would_happen_is_said_and_nothing_is_written(
    said: Callable[..., str], here: Path
) -> None:
    before = everything(here)
    trials = f"12 trials{text('rehearsal.including', points='1 initial point')}"
    compared = text("rehearsal.compared-at", scheduler="asha", rungs="6 and 17")
    out = said(*OWN, "--space", "mlp", "logistic", "--trials", "12", "--name", "first")
    assert everything(here) == before
    assert sorted(path.name for path in here.iterdir()) == ["table.csv"]
    described = text(
        "messages.described",
        spaces="mlp logistic",
        budget=text("messages.trials", trials=12),
        folds=3,
        each=text("messages.for-each-space"),
        rows="72 table rows",
        sampler="tpe",
        scheduler="asha",
    )
    for line in (
        text("rehearsal.nothing-written"),
        text("table-summary.classes", target="left", classes=2, counts=""),
        f"{text('rehearsal.would-start', name='first', sweep=described)}\n",
        folds(48, 24, "rehearsal.test-rows-untouched"),
        text("rehearsal.space", space="mlp", variant="table/mlp", trials=trials),
        f"  {text('rehearsal.most-epochs', most=50, resource='epochs')}{compared}",
        "  hidden_layers  1 to 4 (whole)",
        "  epochs         50 (fixed)",
        text("rehearsal.space", space="logistic", variant="table/logistic", trials=trials),
        "  C             0.0001 to 10000 (log)",
        f"  {text('spaces.tried-first', points='scikit-learn default')}",
        f"folder: {here}/runs/first",
        f"study: {here}/runs/first/mlp/study.journal",
        f"study: {here}/runs/first/logistic/study.journal",
        f"checkpoints: {here}/runs/first",
        text("rehearsal.mlflow", uri=f"sqlite:///{here}/mlflow.db", experiment="foldsweep"),
    ):
        assert f"\n{line}" in f"\n{out}", line
    duration, size = r"\d+:\d\d", r"\d\S* [MG]B"
    point = "scikit-learn default"
    assert shaped("  ", "rehearsal.epoch-takes", point=point, seconds=r"[\d.]+").search(out)
    assert shaped("  ", "rehearsal.fit-takes", point=point, seconds=r"[\d.]+").search(out)
    assert shaped("", "rehearsal.on-this-machine").search(out)
    assert shaped("", "rehearsal.time", most=duration).search(out) or shaped(
        "", "rehearsal.time-range", least=duration, most=duration
    ).search(out)
    assert shaped("", "rehearsal.memory", trial=size, whole=size, concurrency=r"\d+").search(out)


def test_a_file_of_the_user_s_is_read_and_left_alone(said: Callable[..., str], here: Path) -> None:
    (here / "mine.py").write_text(
        "import numpy as np\n"
        "from foldsweep import Data, SearchSpace, classification, tune, variant, when\n"
        "from foldsweep.models import Perceptron, PerceptronClassifierConfig\n"
        "rows = np.random.default_rng(0).normal(size=(60, 3))\n"
        "task = classification('own', Data.of(rows, np.array([0, 1] * 30)))\n"
        "def space():\n"
        "    own = variant('own', task, Perceptron, PerceptronClassifierConfig)\n"
        "    domains = {'residual': tune.choice([False, True]),\n"
        "        'dropout': when('residual', True, tune.uniform(0, 0.5)), 'epochs': 2}\n"
        "    return SearchSpace(name='mine', variant=own, domains=domains)\n"
    )
    before = everything(here)
    out = said("--space", "mine.py", "--trials", "3", "--folds", "2")
    assert everything(here) == before
    assert not (here / "__pycache__").exists()
    assert "\n  dropout   0 to 0.5, if residual is True\n" in out
    point = text("rehearsal.random-configuration")
    assert shaped("  ", "rehearsal.epoch-takes", point=point).search(out)
    few = text(
        "messages.too-few-trials",
        space="mine",
        trials="3 sampled trials",
        scheduler="asha",
        least=9,
    )
    assert f"\n{few}\n" in out
    assert f"folder: {here}/runs/NAME\n" in out


def test_trials_may_be_selected_on_test_rows(said: Callable[..., str]) -> None:
    out = said(*OWN, "--space", "mlp", "logistic", "--trials", "3", "--select-on-test")
    assert f"\n{folds(72, 18, 'rehearsal.test-rows-held-out')}\n" in out


def test_services_are_neither_asked_nor_made(said: Callable[..., str], here: Path) -> None:
    before = everything(here)
    common = (*OWN, "--space", "logistic", "--trials", "3", "--name", "first")
    out = said(*common, "--study", "sqlite:///study.db", "--tracking-uri", "http://127.0.0.1:9")
    url = f"sqlite:///{here}/study.db"
    assert f"\n{text('rehearsal.studies', url=url, names='first/logistic')}\n" in out
    assert said_as("rehearsal.mlflow", uri="http://127.0.0.1:9").search(out)
    out = said(*common, "--storage", "s3://bucket/x", "--address", "nowhere:6379")
    assert "checkpoints: s3://bucket/x/first\n" in out
    assert text("rehearsal.on-cluster", each="1 CPU", address="nowhere:6379") in out
    assert text("rehearsal.one-at-a-time") in out
    assert everything(here) == before


def test_what_a_resumed_sweep_has_done_is_not_estimated_again(
    said: Callable[..., str], here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = read_settings([*OWN, "--space", "logistic", "--trials", "9", "--name", "first"])[1]
    folder = here / "runs" / "first"
    folder.mkdir(parents=True)
    save_settings(replace(settings, objective=("val_accuracy",)), folder)
    before = everything(here)
    for done, most in ((0, "1:38"), (5, "0:48"), (9, "0:08")):
        known = replace(rehearsal.kept(folder), trials=done)
        with monkeypatch.context() as patch:
            patch.setattr(rehearsal, "kept", lambda folder, known=known: known)
            patch.setattr(rehearsal, "_time", lambda *args: _TIMED)
            out = said("--resume", "first", "--concurrency", "1")
        budget = text("messages.trials", trials=9)
        sweep = said_as("messages.described", spaces="logistic", budget=budget).pattern
        assert shaped("", "rehearsal.would-resume", name="first", sweep=sweep).search(out)
        assert f"\n{text('rehearsal.time', most=most)}\n" in out
    assert everything(here) == before


_TIMED = rehearsal.Timed(point="first", unit_s=10.0, build_s=0.0, gpu_bytes=0)


@pytest.mark.parametrize(
    ("args", "kind", "values"),
    [
        (
            (*OWN, "--space", "mpl"),
            "loading.space-unknown-for-data",
            {"space": "mpl", "hint": text("checks.did-you-mean", word="mlp")},
        ),
        (
            ("--data", "table.csv", "--target", "lift", "--space", "mlp"),
            "rows.role-column-missing",
            {"role": "target", "column": "lift"},
        ),
        (
            (*OWN, "--space", "mlp", "--objective", "r2"),
            "scores.objective-unknown",
            {"objective": "r2"},
        ),
        ((*OWN, "--space", "mlp", "--name", "there"), "launch.name-taken", {"name": "there"}),
        (
            (*OWN, "--space", "mlp", "--cpus-per-trial", "4000"),
            "resources.more-than-available",
            {"option": "--cpus-per-trial", "wanted": 4000},
        ),
        (
            (*OWN, "--space", "mlp", "--tracking-uri", "ftp://x"),
            "tracking.scheme-unknown",
            {"scheme": "ftp"},
        ),
        (("--resume", "gone"), "settings-file.no-sweep", {"name": "gone", "storage": "runs"}),
        (
            ("--resume", "gone", "--study", "sqlite:///gone.db"),
            "settings-file.no-sweep",
            {"name": "gone", "storage": "runs"},
        ),
        (
            ("--resume", "there", "--seed", "3"),
            "settings.changed-on-resume",
            {"sweep": "there", "changed": "--objective  -> val_accuracy; --seed 0 -> 3"},
        ),
    ],
)
def test_mistakes_are_those_of_the_sweep(
    args: tuple[str, ...],
    kind: str,
    values: dict[str, object],
    said: Callable[..., str],
    here: Path,
) -> None:
    folder = here / "runs" / "there"
    folder.mkdir(parents=True)
    save_settings(read_settings([*OWN, "--space", "mlp", "--name", "there"])[1], folder)
    before = everything(here)
    with refused(kind, **values):
        said(*args)
    assert everything(here) == before


# The estimate -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"scheduler": "none"}, (9.0, 9.0)),
        ({"trials": 9}, (9.0, 9.0)),  # eight sampled trials: nothing is stopped early
        ({"scheduler": "median"}, (9.0, 9.0)),
        ({"objective": ("val_accuracy", "num_params")}, (9.0, 9.0)),
        ({}, (3 + 6 / 3, 9.0)),
        ({"scheduler": "hyperband"}, (3 + 6 / 3, 9.0)),
        ({"epochs": 30}, (3 + 7 / 3 + 20 / 6, 30.0)),
        ({"epochs": 30, "scheduler": "asha-stop"}, (3 + 7 / 3 + 20 / 9, 30.0)),
        ({"epochs": 30, "scheduler": "hyperband"}, (None, 30.0)),
    ],
)
def test_early_stopping_shortens_a_trial_by_its_rungs(
    changes: dict[str, object], expected: tuple[float | None, float], space: SearchSpace
) -> None:
    whole = {"space": ("small",), "objective": ("val_accuracy",), "trials": 30, **changes}
    least, most = estimate(space, SweepSettings(**whole), unit_s=1.0)  # type: ignore[arg-type]
    assert most == expected[1]
    if expected[0] is not None:
        assert least == pytest.approx(expected[0])
    else:  # between the estimate for asha-stop and all epochs
        assert 3 + 7 / 3 + 20 / 9 < least < most


def test_what_a_process_does_once_counts_as_no_epoch(
    said: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """For example on a GPU, whose kernels are loaded in the first epoch."""
    clock = SimpleNamespace(now=0.0)

    class Trial(rehearsal.CrossValidation):
        def advance(self, epochs: int, **options: Any) -> None:
            clock.now += 1.5 if epochs == 1 else 0.1
            super().advance(epochs, **options)

    monkeypatch.setattr(rehearsal, "CrossValidation", Trial)
    monkeypatch.setattr(rehearsal, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    out = said(*OWN, "--space", "mlp")
    assert said_as("rehearsal.epoch-takes", seconds="0.100").search(out)


def test_a_time_budget_ends_the_estimate(
    said: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rehearsal, "_time", lambda *args: _TIMED)
    args = (*OWN, "--space", "logistic", "svm", "--concurrency", "1", "--trials", "9")
    assert f"\n{text('rehearsal.time', most='3:17')}\n" in said(*args)
    limited = said(*args, "--time-budget", "25")
    assert f"\n{text('rehearsal.time', most='1:06')}\n" in limited


def test_more_memory_than_there_is_is_said(
    said: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rehearsal, "_time", lambda *args: _TIMED)
    monkeypatch.setattr(rehearsal, "_available", lambda: 10**6)
    out = said(*OWN, "--space", "logistic")
    memory = said_as("rehearsal.memory", available="1.0 MB").pattern
    assert re.search(f"{memory}{re.escape(text('rehearsal.too-much-memory'))}\n", out)


# The command ------------------------------------------------------------------------------------


def test_a_dry_run_is_no_sweep(monkeypatch: pytest.MonkeyPatch, here: Path) -> None:
    calls: list[object] = []
    monkeypatch.setattr(run, "apart", lambda call, *args: calls.append(call) or 0)
    args = ["foldsweep run", "--space", "mlp", "--dry-run"]
    monkeypatch.setattr(sys, "argv", args)
    assert run.main() == 0
    assert calls == ["sweeps.rehearsal.rehearse"]
    monkeypatch.setattr(sys, "argv", [*args, "--save-config", "a.yaml"])
    with refused("run.dry-run-saves-config"):
        run.main()
    assert not (here / "a.yaml").exists()


@pytest.mark.slow
@pytest.mark.integration
def test_a_dry_run_leaves_no_trace_of_itself(here: Path) -> None:
    """There is no folder of Ray either, and nothing in the user's home."""
    for name in ("home", "tmp"):
        (here / name).mkdir()
    before = everything(here)
    args = [*OWN, "--space", "logistic", "--trials", "3", "--dry-run"]
    own = {"HOME": str(here / "home"), "TMPDIR": str(here / "tmp"), "RAY_TMPDIR": ""}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "foldsweep", "run", *args],
        capture_output=True,
        encoding="utf-8",
        env=os.environ | own | {"PYTHONPATH": str(ROOT), "XDG_RUNTIME_DIR": ""},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert said_as("rehearsal.would-start").search(done.stdout)
    assert everything(here) == before
    assert {path.name for path in here.rglob("*")} == {"home", "tmp", "table.csv"}
