"""A sweep that is warm-started from the results of an earlier one."""

import shutil

import pytest

from foldsweep.names import TAG_WARM_START
from tests.integration.user import TINY, User
from tests.refusals import text

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(240)]

ARGS = ("--space", "mlp", *TINY, "--epochs", 1)


def test_a_sweep_starts_from_an_earlier_one_and_goes_on_without_it(user: User) -> None:
    user.run("sweeps/run.py", *ARGS, "--name", "first", "--trials", 4)
    warm = (*ARGS, "--seed", 1, "--trials", 2, "--name", "second", "--warm-start")
    missing = user.run("sweeps/run.py", *warm, "frist", code=2).stderr
    said = text("sources.not-in-folder", given="frist", root="runs")
    assert f"error: {said}" in " ".join(missing.split())
    assert not (user.folder / "runs" / "second").exists()
    seen = text("warm-start.trials", fit=4, trials="4 trials", sweep="first/mlp")
    seen += text("warm-start.relative")
    said = user.run("sweeps/run.py", *warm, "first").stdout
    assert text("prepare.warm-start", space="mlp", source=seen) in " ".join(said.split())
    run = user.mlflow("second/mlp")[""]
    assert run.tags[TAG_WARM_START] == seen
    assert run.params["warm_start"] == "first"

    shutil.rmtree(user.folder / "runs" / "first")
    user.run("sweeps/run.py", "--resume", "second", "--trials", 3)
    assert [trial.state.name for trial in user.study("second/mlp")] == ["COMPLETE"] * 3
