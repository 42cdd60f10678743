"""Launches of sweeps that train nothing, in an empty folder."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweeps import launch as launch_module
from sweeps.launch import launch
from sweeps.settings import SweepSettings
from tests.sweeps.launch.launches import Given, Waiting


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def table(here: Path) -> str:
    """A table with two classes, a number, a category, a group, a time and a fold."""
    rng = np.random.default_rng(0)
    with (here / "table.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["size", "colour", "patient", "day", "part", "left"])
        for i in range(90):
            size, colour = rng.normal(), rng.choice(["red", "green"])
            left = "yes" if rng.normal() + size > 0 else "no"
            writer.writerow(
                [f"{size:.3f}", colour, i // 5, f"2024-01-{i // 3 + 1:02}", i % 3, left]
            )
    return str(here / "table.csv")


@pytest.fixture
def launched(here: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Given]:
    """Launches sweeps that train nothing; returns the settings, variants and data of each."""

    def run(**values: Any) -> Given:
        given: Given = {}

        def end(settings: Any, spaces: Any, data: Any, name: str, *_: Any) -> int:
            given[name] = settings, [space.variant.full_name for space in spaces], data
            return 0

        monkeypatch.setattr(launch_module, "_sweep_all", end)
        settings = SweepSettings(**{"tracking_uri": f"sqlite:///{here}/mlflow.db", **values})
        settings.validate()
        assert launch(settings, None, Waiting(settings)) == 0
        return given

    return run
