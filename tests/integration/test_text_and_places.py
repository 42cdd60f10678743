"""A sweep in a folder with a hostile name, on streams that take next to nothing."""

import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.integration.user import REPOSITORY

pytestmark = pytest.mark.integration
SWEEP = "--data iris --space logistic --folds 3 --concurrency 1 --trials 2".split()


def run(
    folder: Path, program: str, *args: str, redirect: str = "", **env: str
) -> subprocess.CompletedProcess[bytes]:
    """A program in a shell, which may redirect its output."""
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
    with closing(sqlite3.connect(here / "mlflow.db")) as database:
        (runs,) = database.execute("SELECT COUNT(*) FROM runs WHERE status = 'FINISHED'")
        experiments = {name for (name,) in database.execute("SELECT name FROM experiments")}
    assert runs == (3,)
    assert experiments >= {"mine"}
    assert (here / "study.db").is_file() == bool(study)
    report = run(here, "analysis/report.py", "--sweep", "x", **hostile)
    assert report.returncode == 0, report
    assert "±" in (here / "report.html").read_text("utf-8")
    assert list(here.glob("mlartifacts/mine/*/artifacts/report/report.html"))
    assert [path.name for path in tmp_path.iterdir()] == [name]
