"""Settings in a sweep's folder, and the identity of the sweep there."""

import json
import os
import shutil
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.settings import Scheduler, SweepSettings
from sweeps.settings_file import (
    SETTINGS_FILE,
    check_place,
    load_settings,
    recorded_identity,
    save_settings,
)
from tests.refusals import refused, text
from trainables.tasks.larger_digit import TASK

GOOD = SweepSettings(space=("mlp",))
EARLIER = replace(GOOD, scheduler="asha-stop", order="arrival")
"""Settings of sweeps by versions that could not pause trials."""
words = st.text(st.characters(codec="utf-8"), max_size=12)
settings = st.builds(
    SweepSettings,
    space=st.lists(words, max_size=3).map(tuple),
    trials=st.none() | st.integers(1, 10**6),
    time_budget=st.none() | st.floats(0.1, 1e9),
    objective=st.lists(st.sampled_from(list(TASK.better)), unique=True).map(tuple),
    data=st.none() | words,
    target=st.none() | words,
    task=st.sampled_from([None, "classification", "regression"]),
    holdout=st.floats(0, 1, exclude_max=True),
    test=st.none() | st.just(Path("some") / "test.csv"),
    repeats=st.integers(1, 9),
    drop=st.lists(words.map("without {}".format), max_size=2).map(tuple),  # never the target
    data_dir=st.none() | st.just(Path("some") / "folder"),
    study=st.none() | words,
    storage=words,
    sampler=st.sampled_from(["tpe", "grid"]),
    gpus_per_trial=st.none() | st.floats(0, 8),
)


@given(settings)
def test_settings_survive_json(settings: SweepSettings) -> None:
    again = SweepSettings.from_dict(json.loads(json.dumps(settings.to_dict())))
    assert again == settings


@given(settings)
def test_settings_survive_their_file(
    tmp_path_factory: pytest.TempPathFactory, settings: SweepSettings
) -> None:
    folder = tmp_path_factory.mktemp("sweep")
    save_settings(settings, folder)
    assert load_settings(folder) == settings
    assert [path.name for path in folder.iterdir()] == [SETTINGS_FILE]


@pytest.mark.parametrize("key", ["seed", "scheduler", "trials", "uuid", "folder", "format"])
def test_settings_that_have_lost_a_key_are_refused_by_its_name(tmp_path: Path, key: str) -> None:
    save_settings(GOOD, tmp_path)
    values = json.loads((tmp_path / SETTINGS_FILE).read_text())
    del values[key]
    (tmp_path / SETTINGS_FILE).write_text(json.dumps(values))
    with refused("settings-file.broken", error=text("settings-file.missing", names=key)) as caught:
        load_settings(tmp_path)
    assert "\n" not in str(caught.value)


def test_settings_with_a_key_that_is_none_are_refused_by_its_name(tmp_path: Path) -> None:
    save_settings(GOOD, tmp_path)
    values = json.loads((tmp_path / SETTINGS_FILE).read_text())
    (tmp_path / SETTINGS_FILE).write_text(json.dumps(values | {"sede": 1}))
    with refused("settings-file.broken", error=text("settings-file.unknown", names="sede")):
        load_settings(tmp_path)
    (tmp_path / SETTINGS_FILE).write_text(json.dumps(values | {"format": 99}))
    with refused("settings-file.broken") as caught:
        load_settings(tmp_path)
    assert str(caught.value.values["error"]).startswith("format is 99, ")
    (tmp_path / SETTINGS_FILE).write_text(json.dumps(values | {"uuid": "x' or"}))
    with refused("settings-file.broken", error='uuid cannot be "x\' or"'):
        load_settings(tmp_path)


def test_a_sweep_that_is_older_than_a_setting_gets_its_default(tmp_path: Path) -> None:
    """For example format 2, which did not have --outage-patience."""
    save_settings(replace(GOOD, outage_patience=7.0, trials=11), tmp_path)
    values = json.loads((tmp_path / SETTINGS_FILE).read_text()) | {"format": 2}
    for key in ("patience", "outage_patience", "trust", "limit", "warm_start"):
        del values[key]
    (tmp_path / SETTINGS_FILE).write_text(json.dumps(values))
    assert load_settings(tmp_path) == replace(EARLIER, trials=11)
    del values["seed"]
    (tmp_path / SETTINGS_FILE).write_text(json.dumps(values))
    with refused("settings-file.broken", error=text("settings-file.missing", names="seed")):
        load_settings(tmp_path)


@pytest.mark.parametrize("form", [3, 4])
def test_a_setting_that_has_another_name_since_keeps_its_value(tmp_path: Path, form: int) -> None:
    """In these formats, `patience` was the time limit for outages of the study."""
    save_settings(replace(GOOD, outage_patience=7.0, patience=None), tmp_path)
    values = json.loads((tmp_path / SETTINGS_FILE).read_text()) | {"format": form}
    values["patience"] = values.pop("outage_patience")
    (tmp_path / SETTINGS_FILE).write_text(json.dumps(values))
    assert load_settings(tmp_path) == replace(EARLIER, outage_patience=7.0)
    save_settings(load_settings(tmp_path), tmp_path)
    assert load_settings(tmp_path) == replace(EARLIER, outage_patience=7.0)


def test_saving_again_keeps_the_uuid(tmp_path: Path) -> None:
    save_settings(GOOD, tmp_path)
    first = recorded_identity(tmp_path)
    save_settings(replace(GOOD, trials=99), tmp_path)
    assert first is not None
    assert recorded_identity(tmp_path) == first


def test_paths_in_the_project_go_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tmp_path / "project"
    (project / "runs" / "first").mkdir(parents=True)
    monkeypatch.chdir(project)

    def settings(at: Path) -> SweepSettings:
        return SweepSettings(
            space=(str(at / "mine.py"), "mlp"),
            data=str(at / "data.csv"),
            test=at / "test.csv",
            data_dir=Path("/shared/mnist"),
            study=f"sqlite:///{at}/study.db",
            tracking_uri=f"sqlite:///{at}/mlflow.db",
        )

    save_settings(settings(project), project / "runs" / "first")
    assert load_settings(project / "runs" / "first") == settings(project)
    moved = project.rename(tmp_path / "moved")
    assert load_settings(moved / "runs" / "first") == settings(moved)
    monkeypatch.chdir(tmp_path)
    copied = Path(shutil.copytree(moved, tmp_path / "copied"))
    assert load_settings(copied / "runs" / "first") == settings(copied)


def test_a_copy_is_told_from_a_folder_that_was_moved(tmp_path: Path) -> None:
    folder = tmp_path / "first"
    folder.mkdir()
    save_settings(GOOD, folder)
    uuid = check_place(folder).uuid
    copy = Path(shutil.copytree(folder, tmp_path / "other" / "first"))
    with refused("settings-file.copy", folder=copy, original=folder, name="first"):
        check_place(copy)
    shutil.rmtree(folder)
    assert check_place(copy).uuid == uuid
    save_settings(GOOD, copy)  # like a resumption
    folder.mkdir()
    save_settings(GOOD, folder)  # another sweep with the same name
    assert check_place(copy).uuid == uuid != check_place(folder).uuid


def test_settings_of_another_version_are_read(tmp_path: Path) -> None:
    text = json.dumps({"space": ["mlp"], "no_longer_known": 1})
    (tmp_path / SETTINGS_FILE).write_text(text)
    assert load_settings(tmp_path) == EARLIER


@pytest.mark.parametrize("scheduler", ["none", "median"])
def test_an_earlier_sweep_keeps_to_its_scheduler(tmp_path: Path, scheduler: Scheduler) -> None:
    save_settings(replace(GOOD, scheduler=scheduler), tmp_path)
    values = json.loads((tmp_path / SETTINGS_FILE).read_text()) | {"format": 4}
    (tmp_path / SETTINGS_FILE).write_text(json.dumps(values))
    assert load_settings(tmp_path) == replace(GOOD, scheduler=scheduler, order="arrival")


def test_only_their_owner_reads_settings_that_may_hold_a_password(tmp_path: Path) -> None:
    old_mask = os.umask(0o022)
    try:
        save_settings(replace(GOOD, study="postgresql://user:secret@host/studies"), tmp_path)
    finally:
        os.umask(old_mask)
    assert stat.S_IMODE((tmp_path / SETTINGS_FILE).stat().st_mode) == 0o600


def test_an_unknown_sweep_is_refused_with_the_latest(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        save_settings(GOOD, tmp_path / name)
    latest = "first, second"
    with refused("settings-file.no-sweep", name="third", storage=tmp_path, latest=latest):
        load_settings(tmp_path / "third")
    with refused("settings-file.no-sweep", latest="none"):
        load_settings(tmp_path / "elsewhere" / "third")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"', "\x00"])
def test_broken_settings_are_refused_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / SETTINGS_FILE).write_text(text)
    with refused("settings-file.broken", sweep=tmp_path.name) as caught:
        load_settings(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "values",
    [
        {"trials": "abc"},
        {"trials": "7"},
        {"folds": [3]},
        {"folds": None},
        {"seed": {}},
        {"time_budget": "long"},
        {"name": 5},
        {"space": 5},
        {"objective": 5},
        {"storage": 5},
        {"study": 5},
        {"data_dir": 5},
        {"data": 5},
        {"test": 5},
        {"holdout": "half"},
        {"repeats": "twice"},
        {"drop": 5},
        {"task": "ranking"},
    ],
)
def test_settings_of_another_type_are_refused_in_one_line(
    tmp_path: Path, values: dict[str, Any]
) -> None:
    (tmp_path / SETTINGS_FILE).write_text(json.dumps({"space": ["mlp"], **values}))
    with refused("settings-file.broken", sweep=tmp_path.name) as caught:
        load_settings(tmp_path)
    assert "\n" not in str(caught.value)
