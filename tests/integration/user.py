"""A user: a folder, programs run there by path, and the results that they leave."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import optuna
from mlflow import MlflowClient
from mlflow.entities import Run
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial

from foldsweep.tracking import sqlite_uri
from sweeps.tracking.spool import RUN_TAG, SPOOL_FILE, Record, read_records

REPOSITORY = Path(__file__).parents[2]
TINY = ("--dataset", "digits", "--folds", "3", "--train-pairs", "120")
MARK = "FOLDSWEEP_TEST_USER"
TIME_METRIC = "train_time_s"
"""Only metric that differs between two runs of the same trial."""


def until(
    condition: Callable[[], object],
    process: subprocess.Popen[str] | None = None,
    within_s: float = 90.0,
) -> None:
    """Wait for `condition`, while `process` runs."""
    deadline = time.monotonic() + within_s
    while not condition():
        if process is not None and process.poll() is not None:
            assert condition(), f"the program ended too early: {process.communicate()}"
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.05)


def printed(said: str, what: str) -> str:
    """Extract a command from the list at the end of a sweep."""
    found = re.search(rf"^  {what} +(python .+)$", said, re.MULTILINE)
    assert found is not None, said
    return found[1]


PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])


class User:
    """User who works in `folder`; MLflow's file is `mlflow.db` there, and sweeps are in `runs`."""

    def __init__(self, folder: Path, database: Path | None = None):
        self.folder = folder
        if database is not None:
            shutil.copy(database, folder / "mlflow.db")
        self.mark = uuid.uuid4().hex
        self.started: list[subprocess.Popen[str]] = []

    def start(self, program: str, *args: object, **env: str) -> subprocess.Popen[str]:
        """Start a program of this repository in its own process group, as a terminal does."""
        return self.start_command(sys.executable, REPOSITORY / program, *args, **env)

    def start_command(self, *words: object, **env: str) -> subprocess.Popen[str]:
        """Start any command in the same way, with the environment of the tests."""
        process = subprocess.Popen(
            [*map(str, words)],
            cwd=self.folder,
            env=os.environ | {MARK: self.mark, "COLUMNS": "100", "PATH": PATH} | env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def run(
        self, program: str, *args: object, code: int = 0, **env: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end, which must have exit code `code`."""
        return self.end(self.start(program, *args, **env), code)

    def end(
        self, process: subprocess.Popen[str], code: int = 0
    ) -> subprocess.CompletedProcess[str]:
        """Wait for a program's end, which must have exit code `code` and no traceback."""
        out, err = process.communicate(timeout=150)
        assert process.returncode == code, f"exit code {process.returncode}\n{out}\n{err}"
        assert "Traceback" not in err, err
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def run_printed(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command that a program has printed."""
        python, program, *args = shlex.split(command)
        assert python == "python"
        return self.run(program, *args)

    @staticmethod
    def shown(program: str) -> str:
        """Command of a program as printed outside the repository, in a virtual environment."""
        return f"python {REPOSITORY / program}"

    def kill(self, process: subprocess.Popen[str]) -> None:
        """Kill a program and its driver with SIGKILL, but none of the processes they started."""
        drivers = [pid for pid, line in self.left_running().items() if "-m sweeps.driver" in line]
        for pid in (*drivers, process.pid):
            os.kill(pid, signal.SIGKILL)
        process.wait()
        for pipe in (process.stdout, process.stderr):
            assert pipe is not None
            pipe.close()

    def left_running(self) -> dict[int, str]:
        """Return the processes that this user's programs have started, directly or indirectly."""
        mark = f"{MARK}={self.mark}".encode()
        found = {}
        for path in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (path / "environ").read_bytes():
                    found[int(path.name)] = (path / "cmdline").read_text().replace("\0", " ")[:150]
            except OSError:
                continue
        return found

    def is_gone(self, within_s: float = 30.0) -> None:
        """Wait until no process that this user's programs have started is left."""
        deadline = time.monotonic() + within_s
        while left := self.left_running():
            assert time.monotonic() < deadline, f"left running: {left}"
            time.sleep(0.05)

    def clean_up(self) -> None:
        """Kill all processes of this user, also those that `kill` has left behind."""
        deadline = time.monotonic() + 20
        while (left := self.left_running()) and time.monotonic() < deadline:
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            time.sleep(0.05)
        for process in self.started:
            if process.poll() is None:
                self.kill(process)
            for pipe in (process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()

    def records(self, sweep: str, op: str) -> list[Record]:
        """Records of one kind in the spool of `NAME/SPACE`, of trials only."""
        path = self.folder / "runs" / sweep / SPOOL_FILE
        if not path.exists():
            return []
        return [r for _, r in read_records(path) if r["op"] == op and r["run"]]

    def study(self, sweep: str) -> list[FrozenTrial]:
        """Trials in the study of `NAME/SPACE`."""
        journal = self.folder / "runs" / sweep / "study.journal"
        storage = JournalStorage(JournalFileBackend(str(journal)))
        return optuna.load_study(study_name=sweep, storage=storage).trials

    def held_out(self, sweep: str) -> dict[int, bytes]:
        """Files of the held-out rows of trials in `NAME/SPACE`, by trial number."""
        folder = self.folder / "runs" / sweep / "held_out"
        return {int(path.stem[-5:]): path.read_bytes() for path in folder.iterdir()}

    def artifacts(self, run: "RunRow", folder: str) -> list[bytes]:
        """Files in a folder of a run's artifacts in MLflow."""
        paths = (self.folder / "mlartifacts").glob(f"*/{run.run_id}/artifacts/{folder}/*")
        return [path.read_bytes() for path in sorted(paths)]

    def mlflow(self, sweep: str, database: Path | None = None) -> "dict[str, RunRow]":
        """Runs of `NAME/SPACE` in MLflow by trial number; the sweep's own run has the key `""`."""
        return runs_of(sqlite_uri(database or self.folder / "mlflow.db"), sweep)


class RunRow:
    """Run in MLflow, with all points of its metrics."""

    def __init__(self, client: MlflowClient, run: Run):
        self.run_id: str = run.info.run_id
        self.status: str = run.info.status
        self.tags: dict[str, str] = run.data.tags
        self.params: dict[str, str] = run.data.params
        given = [] if run.inputs is None else run.inputs.dataset_inputs
        self.datasets = [of.dataset.name for of in given]
        points = [
            (key, point.step, point.value)
            for key in run.data.metrics
            for point in client.get_metric_history(self.run_id, key)
        ]
        times = Counter((key, step) for key, step, _ in points)
        assert set(times.values()) <= {1}, f"points more than once: {times.most_common(3)}"
        self.points = {(key, step): value for key, step, value in points}

    def last(self, key: str) -> float:
        """Value of a metric at its last step."""
        return self.points[max(k for k in self.points if k[0] == key)]


def runs_of(uri: str, sweep: str) -> dict[str, RunRow]:
    """Runs of `NAME/SPACE` in an MLflow store by trial number; the sweep's own is `""`."""
    client = MlflowClient(tracking_uri=uri)
    found: dict[str, RunRow] = {}
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    for run in client.search_runs(experiments, f"tags.`{RUN_TAG}` LIKE '{sweep}%'"):
        name = run.data.tags[RUN_TAG]
        number = name.removeprefix(sweep).removeprefix("/")
        if f"{name}/".startswith(f"{sweep}/") and not number.startswith("evaluation"):
            assert number not in found, f"run {name} is there twice"
            found[number] = RunRow(client, run)
    return found


def scores(trials: list[FrozenTrial]) -> dict[int, tuple[Any, ...]]:
    """Values of a study that must not depend on when and where its trials ran."""
    return {
        t.number: (
            t.state.name,
            t.params,
            t.values,
            t.intermediate_values,
            t.user_attrs["result"]["by_fold"],
            t.user_attrs["result"]["num_params"],
        )
        for t in trials
    }


def check_mlflow(runs: "Mapping[str, RunRow]", trials: list[FrozenTrial]) -> None:
    """Check that each trial has one finished run below one finished parent.

    The runs must have the values of the study.
    """
    assert set(runs) == {"", *(str(t.number) for t in trials)}
    assert {run.status for run in runs.values()} == {"FINISHED"}
    for trial in trials:
        run = runs[str(trial.number)]
        result = trial.user_attrs["result"]
        assert run.tags["mlflow.parentRunId"] == runs[""].run_id
        assert run.tags["foldsweep.state"] == "COMPLETE"
        epochs = json.loads(run.tags["foldsweep.config"])["epochs"]
        for key in ("val_accuracy", "val_accuracy_std", "val_loss", "train_loss"):
            steps = sorted(step for k, step in run.points if k == key)
            assert steps == list(range(1, epochs + 1)), f"trial {trial.number}, {key}"
        for name, values in result["by_fold"].items():
            for fold, value in enumerate(values):
                assert run.points[f"fold_{fold}/{name}", epochs] == value
        assert run.points["val_accuracy", epochs] == trial.value


def repeatable_points(run: RunRow) -> dict[tuple[str, int], float]:
    """All points of a run except the training time."""
    return {key: value for key, value in run.points.items() if key[0] != TIME_METRIC}


def copy_out(path: str, to: Path) -> Path:
    """Copy a file of the repository into a user's folder."""
    return Path(shutil.copy(REPOSITORY / path, to))
