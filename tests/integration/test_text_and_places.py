"""A sweep in a folder with special characters in its name, and with restricted output streams."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient

from foldsweep.tracking import sqlite_uri
from tests.integration.user import REPOSITORY

pytestmark = pytest.mark.integration
SWEEP = "--data iris --space logistic --folds 3 --concurrency 1 --trials 2".split()


def run(
    folder: Path, program: str, *args: str, redirect: str = "", **env: str
) -> subprocess.CompletedProcess[bytes]:
    """Run a program in a shell, which may redirect its output."""
    return subprocess.run(
        ["bash", "-c", f'"$@" {redirect}', "-", sys.executable, REPOSITORY / program, *args],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **env},
        capture_output=True,
        timeout=100,
    )


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("name", "redirect"),
    [("a?b %20 it's ü", "2>&-"), ("100%#", "| head -1; exit ${PIPESTATUS[0]}"), ("b?", ">&-")],
)
def test_a_sweep_is_whole_wherever_it_is_and_whoever_listens(
    tmp_path: Path, name: str, redirect: str
) -> None:
    here = tmp_path / name
    here.mkdir()
    hostile = {"PYTHONIOENCODING": "ascii", "FORCE_COLOR": "1", "MLFLOW_EXPERIMENT_NAME": "mine"}
    study = ("--study", "sqlite:///study.db") if "?" in name else ()
    done = run(here, "sweeps/run.py", *SWEEP, *study, "--name", "x", redirect=redirect, **hostile)
    assert done.returncode == 0, done
    assert b"Traceback" not in done.stderr
    assert not re.search(rb"\r|\x1b\[[0-9?;]*[^m0-9?;]", done.stdout)
    client = MlflowClient(tracking_uri=sqlite_uri(here / "mlflow.db"))
    experiment = client.get_experiment_by_name("mine")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], "attributes.status = 'FINISHED'")
    assert len(runs) == 3
    assert (here / "study.db").is_file() == bool(study)
    report = run(here, "analysis/report.py", "--sweep", "x", **hostile)
    assert report.returncode == 0, report
    assert "±" in (here / "report.html").read_text("utf-8")
    assert list(here.glob("mlartifacts/mine/*/artifacts/report/report.html"))
    assert [path.name for path in tmp_path.iterdir()] == [name]
