"""Earlier sweeps that a sweep names for comparison, and those that it must not name."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from foldsweep import names
from sweeps.comparable import MOST, comparable
from sweeps.settings import SweepSettings
from sweeps.settings_file import SETTINGS_FILE, save_settings

SETTINGS = SweepSettings(space=("mlp",), objective=("val_accuracy",), tracking_uri="http://h:1")


def sweep(
    storage: Path, name: str, *, age: int = 0, task: str = "churn", digest: str = "a", **other: Any
) -> None:
    folder = storage / name / "mlp"
    folder.mkdir(parents=True)
    save_settings(replace(SETTINGS, name=name, **other), folder.parent)
    record = {"record": {"name": task, "digest": digest}}
    (folder / names.TASK_FILE).write_text(json.dumps(record))
    os.utime(folder.parent / SETTINGS_FILE, (10_000 - age, 10_000 - age))


def test_the_latest_sweeps_on_the_same_rows_and_folds_are_named(tmp_path: Path) -> None:
    sweep(tmp_path, "now")
    assert comparable(tmp_path, "now") == []
    for age, name in enumerate(["last", "before", "first"], start=1):
        sweep(tmp_path, name, age=age, space=("net.py",), trials=5)
    assert comparable(tmp_path, "now") == ["last", "before", "first"][:MOST]


@pytest.mark.parametrize(
    "other",
    [
        {"task": "tips"},
        {"digest": "b"},
        {"folds": 3},
        {"repeats": 2},
        {"epochs": 4},
        {"objective": ("val_loss",)},
        {"seed": 1},
        {"select_on_test": True},
        {"experiment": "elsewhere"},
        {"tracking_uri": "http://h:2"},
    ],
)
def test_a_sweep_with_other_scores_or_elsewhere_is_not_named(
    tmp_path: Path, other: dict[str, Any]
) -> None:
    sweep(tmp_path, "now")
    sweep(tmp_path, "other", **other)
    assert comparable(tmp_path, "now") == []


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"record": 1}', '{"record": {"name": "churn"}}']
)
def test_a_damaged_sweep_is_not_named(tmp_path: Path, content: str) -> None:
    for name in ("now", "task", "settings", ".deleted"):
        sweep(tmp_path, name)
    (tmp_path / "task" / "mlp" / names.TASK_FILE).write_text(content)
    (tmp_path / "settings" / SETTINGS_FILE).write_text(content)
    assert comparable(tmp_path, "now") == []
    (tmp_path / "now" / "mlp" / names.TASK_FILE).write_text(content)
    assert comparable(tmp_path, "now") == []
    assert comparable(tmp_path, "no such sweep") == []
