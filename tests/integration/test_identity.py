"""A sweep's name, UUID and folder when a user copies, moves or renames projects."""

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.integration.user import TINY, User, check_mlflow
from tests.refusals import said_as, text

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(600)]

SWEEP = ("sweeps/run.py", *TINY, "--space", "mlp", "--epochs", 1, "--name", "first")


def test_a_project_may_be_copied_and_moved_and_no_name_is_taken_twice(
    user: User, tmp_path_factory: pytest.TempPathFactory
) -> None:
    first = user.run(*SWEEP, "--trials", 2)
    assert "refused" not in first.stdout
    settings = json.loads((user.folder / "runs/first/settings.json").read_text())
    runs = user.mlflow("first/mlp")
    assert {run.tags["foldsweep.uuid"] for run in runs.values()} == {settings["uuid"]}
    assert len(runs) == 3

    copy = User(Path(shutil.copytree(user.folder, tmp_path_factory.mktemp("copy") / "project")))
    end = copy.run("sweeps/run.py", "--resume", "first", "--trials", 3, code=2)
    original = user.folder / "runs" / "first"
    said = text("settings-file.copy", folder="runs/first", original=original, name="first")
    assert said in end.stderr
    end = copy.run("sweeps/run.py", "--resume", "first", "--name", "second", "--trials", 3)
    renamed = {"folder": "runs/first", "original": "first", "name": "second"}
    assert text("run.adopted", **renamed) in end.stdout
    check_mlflow(copy.mlflow("second/mlp"), copy.study("second/mlp"))
    assert len(copy.mlflow("first/mlp")) == 3
    assert len(user.mlflow("first/mlp")) == 3
    shutil.rmtree(copy.folder / "runs")
    end = copy.run(*SWEEP, "--trials", 2, code=2)
    said = text(
        "name-check.name-taken",
        uri=f"sqlite:///{copy.folder}/mlflow.db",
        name="first",
        experiment="foldsweep",
        taken="first/mlp of WHEN",
    )
    assert re.search(re.escape(said).replace("WHEN", ".*"), end.stderr)
    assert end.stderr.count("\n") == 1
    assert not (copy.folder / "runs").exists()

    old = user.folder
    moved = User(old.rename(old.with_name("moved")))
    end = moved.run("sweeps/run.py", "--resume", "first", "--trials", 3)
    moved_from = f"{old}/runs/first"
    assert said_as("launch.moved", name="first", folder=moved_from).search(end.stdout)
    assert "refused" not in end.stdout
    assert not old.exists()
    trials = moved.study("first/mlp")
    assert len(trials) == 3
    check_mlflow(moved.mlflow("first/mlp"), trials)
    again = json.loads((moved.folder / "runs/first/settings.json").read_text())
    assert (again["uuid"], again["folder"]) == (settings["uuid"], f"{moved.folder}/runs/first")
    old.mkdir()  # for the cleanup after the test
