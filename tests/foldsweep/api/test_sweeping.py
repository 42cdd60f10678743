"""Sweeps in a program: accepted arguments, refusals, failures, and effects on the process."""

import logging
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import foldsweep as fs
from foldsweep.errors import UserError
from sweeps.settings import SweepSettings
from tests.foldsweep.api import made
from tests.refusals import refused, said_as, text

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

Make = Callable[..., fs.SearchSpace]
SMALL: dict[str, Any] = {"workers": 0, "trials": 3, "folds": 3}


# What is swept ----------------------------------------------------------------------------------


def test_rows_are_a_task_of_the_kind_that_their_target_asks_for(
    rows: tuple[np.ndarray, np.ndarray],
) -> None:
    x, y = rows
    task = fs.table(x, y)
    same = fs.classification("table", fs.Data.of(x, y, name="table"))
    assert (task.kind, task.classes, task.objective) == (same.kind, same.classes, "accuracy")
    assert isinstance(task.data, fs.Data)
    assert isinstance(same.data, fs.Data)
    assert task.data.digest == same.data.digest
    assert fs.table(x, x[:, 0]).kind == "regression"
    assert fs.table(x, np.arange(120) % 2, kind="regression").kind == "regression"
    with refused("targets.regression-of-words"):
        fs.table(x, y, kind="regression")
    with refused("api-table.path", path="mine.csv"):
        fs.table(Path("mine.csv"), "left")


@pytest.mark.slow
def test_spaces_that_ship_are_swept_on_rows_of_a_program(table: fs.Task) -> None:
    result = fs.sweep(table, spaces=["mlp", "logistic"], epochs=2, name="two", **SMALL)
    assert (Path("runs") / "two" / "mlp").is_dir()
    trials = result.trials
    assert [*trials["space"]] == ["mlp"] * 3 + ["logistic"] * 3
    assert set(trials["state"]) == {"COMPLETE"}
    assert {"lr", "hidden", "C"} <= set(trials.columns)
    folds = trials[["fold_0", "fold_1", "fold_2"]]
    assert np.allclose(folds.mean(axis=1), trials["score"])
    assert np.allclose(folds.std(axis=1), trials["std"])
    best = result.best
    assert best.score == trials["score"].max()
    assert f"accuracy {best.score:.4f}" in repr(result)
    assert trials.equals(fs.load("two").trials)
    assert [*fs.load("two/mlp").trials["space"]] == ["mlp"] * 3


@pytest.mark.slow
def test_a_space_of_a_program_is_swept_and_resumed_with_the_same(make_space: Make) -> None:
    first = fs.sweep(make_space(), name="own", **SMALL)
    again = fs.sweep(space=make_space(), resume="own", workers=0, trials=4)
    assert len(again.trials) == 4
    pd.testing.assert_frame_equal(again.trials[:3], first.trials)
    with refused("launch.name-taken", name="own"):
        fs.sweep(make_space(), name="own", **SMALL)
    with refused("handover.space-of-a-program", space="small"):
        fs.sweep(resume="own", workers=0, trials=5)
    changed = make_space(domains={"lr": fs.tune.uniform(0.1, 0.2), "epochs": 3})
    with refused("fingerprints.changed-since", sweep="own", part="space"):
        fs.sweep(changed, resume="own", workers=0, trials=5)


@pytest.mark.slow
def test_a_file_of_a_space_is_swept_by_its_path(home: Path) -> None:
    (home / "mine.py").write_text(
        "import numpy as np\n"
        "import foldsweep as fs\n"
        "x = np.random.default_rng(0).normal(size=(60, 2))\n"
        "task = fs.classification('mine', fs.Data.of(x, x[:, 0] > 0))\n"
        "from foldsweep.models import Perceptron, PerceptronClassifierConfig as Config\n"
        "def space():\n"
        "    return fs.SearchSpace(\n"
        "        name='mine',\n"
        "        variant=fs.variant('mine', task, Perceptron, Config),\n"
        "        domains={'lr': fs.tune.loguniform(1e-3, 1e-1), 'epochs': 2},\n"
        "    )\n"
    )
    result = fs.sweep(home / "mine.py", name="path", **SMALL)
    assert [*result.trials["state"]] == ["COMPLETE"] * 3
    assert result.fit().predict([[1.0, 0.0], [-1.0, 0.0]]).tolist() == [True, False]


@pytest.mark.slow
def test_a_dry_run_prints_the_plan_and_writes_nothing(
    make_space: Make, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = process()
    assert fs.sweep(make_space(), dry_run=True, trials=4, folds=3) is None
    after = process()
    assert {name for name in before if before[name] != after[name]} == set()
    said = capsys.readouterr().out
    assert said.startswith(text("rehearsal.nothing-written"))
    assert said_as("rehearsal.space", space="small", variant="table/net").search(said)
    assert said_as("rehearsal.time").search(said)
    assert f"folder: {home}/runs/NAME" in said
    assert [path.name for path in home.iterdir()] == ["mlflow.db"]
    with pytest.raises(UserError, match="200"):
        fs.sweep(make_space(), dry_run=True, workers=0, folds=200)


@pytest.mark.slow
def test_mlflows_pages_are_served_as_long_as_a_sweep_runs(
    make_space: Make, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[bool] = []

    @contextmanager
    def pages(settings: SweepSettings, folder: Path) -> Iterator[None]:
        served.append(True)
        yield
        served.append(False)

    monkeypatch.setattr("sweeps.launch.pages", pages)
    looked = []
    made.hooks.append(lambda: looked.append(served[-1:]))
    fs.sweep(make_space(), name="seen", ui=True, **SMALL)
    assert served == [True, False]
    assert [True] in looked
    watch = text("commands.watch", look=text("commands.pages-starting"))
    assert watch in capsys.readouterr().out.splitlines()


# What is refused --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "kind", "values"),
    [
        (
            {"trails": 3},
            "api-sweeping.setting-unknown",
            {"setting": "trails", "hint": text("checks.did-you-mean", word="trials")},
        ),
        (
            {"trials": 0},
            "programs.option-out-of-range",
            {"option": "trials", "rule": text("rules.at-least", least=1), "value": "0"},
        ),
        (
            {"trials": "many"},
            "config-file.wrong-type",
            {"name": "trials", "type": "int", "value": "'many'"},
        ),
        (
            {"folds": 1},
            "programs.option-out-of-range",
            {"option": "folds", "rule": text("rules.at-least", least=2), "value": "1"},
        ),
        ({"sampler": "tpa"}, "config-file.wrong-type", {"name": "sampler", "value": "'tpa'"}),
        ({"objective": "--help"}, "config-file.begins-with-dash", {"name": "objective"}),
        ({"list_spaces": True}, "api-sweeping.setting-unknown", {"setting": "list_spaces"}),
        ({"concurrency": 2}, "api-sweeping.workers-and-concurrency", {}),
        ({"trial_timeout": 5.0}, "local.timeout-without-process", {}),
        ({"data": "iris"}, "api-sweeping.task-has-data", {"data": "iris"}),
        ({"study": "postgresql://me:secret@host/db"}, "passwords.in-url", {}),
        ({"resume": "gone"}, "settings-file.no-sweep", {"name": "gone", "storage": "runs"}),
    ],
)
def test_a_setting_is_refused_as_on_the_command_line(
    settings: dict[str, Any], kind: str, values: dict[str, str], table: fs.Task, home: Path
) -> None:
    with refused(kind, **values):
        fs.sweep(table, spaces="mlp", **{"workers": 0, **settings})
    assert [path.name for path in home.iterdir()] == ["mlflow.db"]


def test_what_is_no_space_is_refused(table: fs.Task) -> None:
    with refused("api-sweeping.spaces-missing"):
        fs.sweep(table)
    with refused("api-sweeping.not-a-space", given="3"):
        fs.sweep([3])
    hint = text("checks.did-you-mean", word="mlp")
    with refused("loading.space-unknown-for-data", space="mlpp", hint=hint):
        fs.sweep(table, spaces="mlpp", workers=0)
    with refused("settings.no-space"):
        fs.sweep()


# What fails -------------------------------------------------------------------------------------


def test_a_bug_of_the_programs_own_is_raised_where_a_debugger_sees_it(make_space: Make) -> None:
    made.hooks.append(lambda: [][1])  # type: ignore[arg-type]
    with pytest.raises(IndexError) as caught:
        fs.sweep(make_space(), name="own", **SMALL)
    assert caught.traceback[-1].path == Path(__file__)
    assert not (Path("runs") / "own").exists()


@pytest.mark.slow
def test_a_trial_that_crashes_is_tried_again(
    make_space: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    crashes = [True]

    def crash() -> None:
        if (
            Path("runs/own/small").is_dir() and crashes
        ):  # not in the check on a few rows before the sweep
            crashes.clear()
            raise OSError("disk is gone")

    made.hooks.append(crash)
    result = fs.sweep(make_space(), name="own", **SMALL)
    file = "runs/own/small/errors/trial_00000.txt"
    error = text("attempts.traceback", error="OSError: disk is gone", file=file)
    assert text("attempts.of-trial", trial=0, error=error) in capsys.readouterr().out
    assert [*result.trials["state"]] == ["COMPLETE"] * 3


# Ctrl-C -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_ctrl_c_leaves_a_resumable_sweep_and_a_living_session(make_space: Make) -> None:
    whole = fs.sweep(make_space(), name="whole", sampler="random", **SMALL)
    looks = []

    def interrupt() -> None:
        if Path("runs/own/small").is_dir():
            looks.append(1)
            if len(looks) == 20:
                signal.raise_signal(signal.SIGINT)

    made.hooks.append(interrupt)
    with pytest.raises(KeyboardInterrupt, match=r"fs.sweep\(SPACES, resume='own'\)"):
        fs.sweep(make_space(), name="own", sampler="random", **SMALL)
    made.hooks.clear()
    assert len(looks) == 20  # the training stopped at once
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    partial = fs.load("own")
    assert 0 < len(partial.trials) <= 3
    assert "RUNNING" in set(partial.trials["state"])
    resumed = fs.sweep(make_space(), resume="own", workers=0)
    timeless = [name for name in whole.trials.columns if name != "train_time_s"]
    pd.testing.assert_frame_equal(resumed.trials[timeless], whole.trials[timeless])


# The process ------------------------------------------------------------------------------------


def process() -> dict[str, Any]:
    """State of the process that a call could change."""
    loggers = {name: logging.getLogger(name).level for name in [*logging.root.manager.loggerDict]}
    return {
        "environment": dict(os.environ),
        "signals": {n: signal.getsignal(n) for n in signal.valid_signals()},
        "scheduling": os.sched_getscheduler(0),
        "affinity": os.sched_getaffinity(0),
        "folder": Path.cwd(),
        "loggers": {name: level for name, level in loggers.items() if level},
        "root handlers": [*logging.root.handlers],
        "disabled": logging.root.manager.disable,
        "warnings": warnings.filters[:],
        "path": [*sys.path],
        "hooks": (sys.excepthook, threading.excepthook, sys.displayhook),
        "streams": (sys.stdout, sys.stderr),
        "torch threads": torch.get_num_threads(),
        "dtype": torch.get_default_dtype(),
        "torch": torch.random.get_rng_state().tolist(),
        "numpy": str(np.random.get_state()),  # noqa: NPY002
        "random": random.getstate(),
        # except MLflow's, which wait for work until its objects are garbage-collected
        "threads": {t.name for t in threading.enumerate() if not t.name.startswith("Mlflow")},
        "pandas": pd.options.display.max_rows,
    }


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_nothing_that_a_sweep_does_to_the_process_outlasts_it(
    workers: int, table: fs.Task
) -> None:
    few = {**SMALL, "trials": 1, "spaces": ["mlp", "logistic"], "epochs": 2}
    fs.sweep(table, name="first", **few)  # excludes the side effects of importing libraries
    torch.set_num_threads(2)
    logging.getLogger("optuna").setLevel(logging.ERROR)
    try:
        before = process()
        fs.sweep(table, name="second", **{**few, "workers": workers})
        after = process()
        assert {name for name in before if before[name] != after[name]} == set()
    finally:
        torch.set_num_threads(1)
        logging.getLogger("optuna").setLevel(logging.WARNING)
