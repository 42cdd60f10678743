"""Working folder, small task, and search space that a program defines."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ray import tune

import foldsweep as fs
from tests.foldsweep.api import made


@pytest.fixture(autouse=True)
def home(tmp_path: Path, empty_mlflow: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    shutil.copy(empty_mlflow, tmp_path / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    made.hooks.clear()


@pytest.fixture(scope="session")
def rows() -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).normal(size=(120, 4))
    return x, np.where(x[:, 0] + x[:, 1] > 0, "up", "down")


@pytest.fixture(scope="session")
def table(rows: tuple[np.ndarray, np.ndarray]) -> fs.Task:
    return fs.table(*rows)


@pytest.fixture
def make_space(table: fs.Task) -> Callable[..., fs.SearchSpace]:
    def make(**changes: Any) -> fs.SearchSpace:
        values: dict[str, Any] = {
            "name": "small",
            "variant": fs.variant("net", table, made.Net, fs.TrialConfig),
            "domains": {"lr": tune.loguniform(1e-3, 1e-1), "epochs": 3},
        }
        return fs.SearchSpace(**(values | changes))

    return make
