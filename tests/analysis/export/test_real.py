"""Results that a real sweep writes and analysis reads."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from foldsweep.recipe import Recipe
from tests.refusals import said_as, text
from tests.trainables.keep.cases import customers

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.timeout(300)
def test_what_a_sweep_logged_comes_back(tmp_path: Path) -> None:
    """A model of a user's table is swept, exported, kept, registered and used for prediction."""
    customers().drop(columns="bill").to_csv(tmp_path / "customers.csv", index=False)
    environment = {**os.environ, "MLFLOW_TRACKING_URI": "sqlite:///mlflow.db"}

    def program(path: str, *args: str) -> str:
        done = subprocess.run(
            [sys.executable, str(ROOT / path), *args],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    program(
        *("sweeps/run.py", "--data", "customers.csv", "--target", "left", "--space", "logistic"),
        *("--trials", "2", "--folds", "3", "--objective", "roc_auc", "--name", "real"),
    )
    said = program(
        *("analysis/export.py", "--sweep", "real", "--keep", "kept", "--register", "churn")
    )
    assert said_as("model-registry.champion", version=1, name="churn").search(said)
    assert said_as("trained.score", metric="roc_auc").search(said)
    recipe = Recipe.load(tmp_path / "best-real-logistic.yaml")
    assert (recipe.task, recipe.variant) == ("customers", "customers/logistic")
    assert recipe.objective == "roc_auc"
    assert len(recipe.fold_scores["val_roc_auc"]) == 3
    assert text("evaluate.equal") in program(
        "sweeps/evaluate.py", "best-real-logistic.yaml", "--cv"
    )
    program("analysis/predict.py", "kept", "customers.csv")
    one = (tmp_path / "predictions.csv").read_text()
    program("analysis/predict.py", "churn", "customers.csv")
    assert (tmp_path / "predictions.csv").read_text() == one
    assert len(one.splitlines()) == 161
