"""A user's own variant, in a file of the user's own, works as those that come with foldsweep."""

from pathlib import Path

import pytest

from tests.integration.user import TINY, User, check_mlflow, copy_out

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


def test_a_file_of_ones_own_is_swept_exported_and_measured(user: User, tmp_path: Path) -> None:
    folder = tmp_path / "somewhere else"
    folder.mkdir()
    file = copy_out("docs/examples/own_variant.py", folder)
    said = user.run(
        *("sweeps/run.py", "--space", "somewhere else/own_variant.py", "--name", "own", *TINY),
        *("--trials", 3, "--epochs", 3, "--scheduler", "none", "--concurrency", 2),
    ).stdout
    assert "own_difference: 3 trials complete, 0 pruned, 0 failed" in said
    assert "trial 0: plain" in said

    trials = user.study("own/own_difference")
    runs = user.mlflow("own/own_difference")
    check_mlflow(runs, trials)
    assert set(trials[1].params) == {"lr", "units", "dropout"}
    for trial in trials:
        run = runs[str(trial.number)]
        assert run.tags["variant"] == "difference"
        assert run.tags["space_file"] == str(file)
        assert run.params["units"] == str(trial.params["units"])

    said = user.run("analysis/export.py", "--space", "own_difference").stdout
    exported = "best-own-own_difference.yaml"
    assert said.startswith(f"{exported}: trial ")
    said = user.run("sweeps/evaluate.py", exported, "--cv").stdout
    assert "equal in every fold and metric, to the last bit" in said
    assert f"variant difference is the code in {file}" in said

    file.unlink()
    said = user.run("sweeps/evaluate.py", exported, code=2).stderr
    assert said == f"error: space file {file} does not exist\n"
