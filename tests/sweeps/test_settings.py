"""What settings may be."""

import json
import math
import os
import re
import shutil
import stat
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foldsweep.errors import UserError
from sweeps.settings import COMPARABLE, SweepSettings, check_name, check_resumable, new_name
from sweeps.settings_file import (
    SETTINGS_FILE,
    check_place,
    load_settings,
    recorded_identity,
    save_settings,
)
from trainables.models.disc import DISC_VARIANTS
from trainables.tasks.larger_digit import TASK
from trainables.tasks.options import ShippedOptions, TableOptions

GOOD = SweepSettings(space=("mlp",))
INVALID: list[tuple[dict[str, Any], str]] = [
    ({"trials": 0}, "--trials must be at least 1, but is 0"),
    ({"folds": 1}, "--folds must be at least 2, but is 1"),
    ({"epochs": 0}, "--epochs must be at least 1, but is 0"),
    ({"concurrency": 0}, "--concurrency must be at least 1, but is 0"),
    ({"max_failures": -1}, "--max-failures must be at least 0, but is -1"),
    ({"folds": 10**9}, "--folds must be at most 10,000, but is 1000000000"),
    ({"trials": 10**400}, "--trials must be at most 1,000,000,000, but is a whole number of"),
    ({"epochs": 10**12}, "--epochs must be at most 1,000,000,000, but is 1000000000000"),
    ({"concurrency": 2**64}, "--concurrency must be at most 1,000,000,000, but is"),
    ({"max_failures": 10**5000}, "--max-failures must be at most 1,000,000,000, but is a whole"),
    ({"seed": 10**400}, "--seed must be below 2**32, but is a whole number of about 401 figures"),
    ({"checkpoint_every_s": math.inf}, "--checkpoint-every-s must be at most 1,000,000,000"),
    ({"seed": -1}, "--seed must be at least 0, but is -1"),
    ({"seed": 2**32}, "--seed must be below 2**32, but is 4294967296"),
    ({"time_budget": 0.0}, "--time-budget must be above 0, but is 0.0"),
    ({"time_budget": -3.0}, "--time-budget must be above 0, but is -3.0"),
    ({"time_budget": math.nan}, "--time-budget must be above 0, but is nan"),
    ({"time_budget": math.inf}, "--time-budget must be at most 1,000,000,000, but is inf"),
    ({"cpus_per_trial": 0.0}, "--cpus-per-trial must be above 0, but is 0.0"),
    ({"cpus_per_trial": math.inf}, "--cpus-per-trial must be at most 4,096, but is inf"),
    ({"cpus_per_trial": 2.0**40}, "--cpus-per-trial must be at most 4,096, but is 1099511627776"),
    ({"gpus_per_trial": math.inf}, "--gpus-per-trial must be at most 4,096, but is inf"),
    ({"trial_timeout": 0.0}, "--trial-timeout must be above 0, but is 0.0"),
    ({"trial_timeout": math.nan}, "--trial-timeout must be above 0, but is nan"),
    ({"gpus_per_trial": -0.5}, "--gpus-per-trial must be at least 0, but is -0.5"),
    ({"gpus_per_trial": math.nan}, "--gpus-per-trial must be at least 0, but is nan"),
    ({"checkpoint_every_s": -1.0}, "--checkpoint-every-s must be at least 0, but is -1.0"),
    ({"checkpoint_every_s": math.nan}, "--checkpoint-every-s must be at least 0, but is nan"),
    ({"name": "../up"}, "sweep name '../up' must be letters"),
    ({"space": ()}, "give --space NAME (see --list-spaces) or --resume SWEEP"),
    ({"space": ("mlp", "cnn", "mlp")}, "--space names a space twice: mlp cnn mlp"),
    ({"objective": ("val_loss", "val_loss")}, "--objective names one twice"),
    (
        {"objective": ("val_loss", "num_params"), "sampler": "cmaes"},
        "--sampler cmaes takes one objective",
    ),
    ({"sampler": "nsga2", "objective": ("val_loss",)}, "--sampler nsga2 needs several objectives"),
    ({"sampler": "nsga2"}, "--sampler nsga2 needs several objectives"),
    ({"data": "iris", "dataset": "digits"}, "--data and --dataset exclude each other"),
    ({"data": "iris", "train_pairs": 5}, "--data and --train-pairs exclude each other"),
    ({"data": "iris", "data_dir": Path("x")}, "--data and --data-dir exclude each other"),
    ({"target": "left"}, "--target goes with --data FILE, which is missing"),
    ({"holdout": 0.5}, "--holdout goes with --data FILE, which is missing"),
    ({"test": Path("t.csv")}, "--test goes with --data FILE, which is missing"),
    ({"repeats": 2}, "--repeats goes with --data FILE, which is missing"),
    ({"drop": ("id",)}, "--drop goes with --data FILE, which is missing"),
    ({"task": "regression"}, "--task goes with --data FILE, which is missing"),
]


@pytest.mark.parametrize(("changes", "said"), INVALID)
def test_a_value_that_cannot_be_meant_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=re.escape(said)) as caught:
        replace(GOOD, **changes).validate()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"trials": 1, "folds": 2, "epochs": 1, "train_pairs": 2, "test_pairs": 1},
        {"seed": 2**32 - 1, "max_failures": 0, "gpus_per_trial": 0.0, "cpus_per_trial": 0.25},
        {"checkpoint_every_s": 0.0, "time_budget": 0.5, "name": "a" * 64},
        {"objective": ("val_loss", "num_params"), "sampler": "nsga2"},
        {"objective": tuple(TASK.better), "sampler": "tpe"},
        {"data": "table.csv", "target": "left", "holdout": 0.0, "repeats": 3, "drop": ("id",)},
        {"space": ("mlp", "folder/mine.py")},
    ],
)
def test_the_ends_of_every_range_are_good(changes: dict[str, Any]) -> None:
    replace(GOOD, **changes).validate()


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
    drop=st.lists(words, max_size=2).map(tuple),
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
    with pytest.raises(UserError, match=f"are broken: {key} is missing$") as caught:
        load_settings(tmp_path)
    assert "\n" not in str(caught.value)


def test_settings_with_a_key_that_is_none_are_refused_by_its_name(tmp_path: Path) -> None:
    save_settings(GOOD, tmp_path)
    values = json.loads((tmp_path / SETTINGS_FILE).read_text())
    (tmp_path / SETTINGS_FILE).write_text(json.dumps(values | {"sede": 1}))
    with pytest.raises(UserError, match="are broken: sede is no setting$"):
        load_settings(tmp_path)
    (tmp_path / SETTINGS_FILE).write_text(json.dumps(values | {"format": 99}))
    with pytest.raises(UserError, match="format is 99, which this version does not know"):
        load_settings(tmp_path)
    (tmp_path / SETTINGS_FILE).write_text(json.dumps(values | {"uuid": "x' or"}))
    with pytest.raises(UserError, match='uuid cannot be "x\' or"'):
        load_settings(tmp_path)


def test_a_sweep_that_is_older_than_a_setting_gets_its_default(tmp_path: Path) -> None:
    """As format 2 was before there was --patience."""
    save_settings(replace(GOOD, patience=7.0, trials=11), tmp_path)
    values = json.loads((tmp_path / SETTINGS_FILE).read_text()) | {"format": 2}
    for key in ("patience", "trust"):
        del values[key]
    (tmp_path / SETTINGS_FILE).write_text(json.dumps(values))
    assert load_settings(tmp_path) == replace(GOOD, trials=11)
    del values["seed"]
    (tmp_path / SETTINGS_FILE).write_text(json.dumps(values))
    with pytest.raises(UserError, match="are broken: seed is missing$"):
        load_settings(tmp_path)


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
    with pytest.raises(UserError, match=f"{copy} is a copy of the sweep in {folder}, ") as caught:
        check_place(copy)
    assert "a name of its own, --resume first --name NEW" in str(caught.value)
    shutil.rmtree(folder)
    assert check_place(copy).uuid == uuid
    save_settings(GOOD, copy)  # as a resumption does
    folder.mkdir()
    save_settings(GOOD, folder)  # another sweep of that name
    assert check_place(copy).uuid == uuid != check_place(folder).uuid


def test_settings_of_another_version_are_read(tmp_path: Path) -> None:
    text = json.dumps({"space": ["mlp"], "no_longer_known": 1})
    (tmp_path / SETTINGS_FILE).write_text(text)
    assert load_settings(tmp_path) == GOOD


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
    with pytest.raises(UserError, match="no sweep 'third' in .*: first, second; if it"):
        load_settings(tmp_path / "third")
    with pytest.raises(UserError, match=r"the latest there: none; if it is elsewhere, give"):
        load_settings(tmp_path / "elsewhere" / "third")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"', "\x00"])
def test_broken_settings_are_refused_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / SETTINGS_FILE).write_text(text)
    with pytest.raises(UserError, match="settings of sweep .* are broken") as caught:
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
    with pytest.raises(UserError, match="settings of sweep .* are broken") as caught:
        load_settings(tmp_path)
    assert "\n" not in str(caught.value)


OTHER: dict[str, Any] = {
    "space": ("cnn",),
    "dataset": "digits",
    "train_pairs": 10,
    "test_pairs": 20,
    "folds": 3,
    "epochs": 7,
    "precision": "bfloat16",
    "objective": ("val_loss",),
    "limit": ("num_params <= 9",),
    "seed": 5,
    "study": "sqlite:///study.db",
    "select_on_test": True,
    "target": "left",
    "task": "regression",
    "holdout": 0.5,
    "group": "patient",
    "time": "day",
    "fold": "part",
    "repeats": 2,
    "drop": ("id",),
}


def test_there_is_another_value_for_all_that_must_stay() -> None:
    assert set(OTHER) == set(COMPARABLE)
    assert set(COMPARABLE) <= {field.name for field in fields(SweepSettings)}


@pytest.mark.parametrize("name", COMPARABLE)
def test_a_changed_setting_is_named_with_both_values(name: str) -> None:
    wanted = replace(GOOD, resume="first", **{name: OTHER[name]})
    shown = " ".join(OTHER[name]) if isinstance(OTHER[name], tuple) else OTHER[name]
    with pytest.raises(
        UserError, match=rf"sweep first .* \(--{name.replace('_', '-')} .* -> {shown}\)"
    ):
        check_resumable(GOOD, wanted)


def test_all_changed_settings_are_named_at_once() -> None:
    with pytest.raises(UserError, match="--folds 5 -> 3; --seed 0 -> 5"):
        check_resumable(GOOD, replace(GOOD, folds=3, seed=5))


def test_what_does_not_touch_scores_may_change() -> None:
    wanted = replace(
        GOOD,
        resume="first",
        trials=99,
        time_budget=1.0,
        concurrency=1,
        cpus_per_trial=2.0,
        max_failures=0,
        tracking_uri="http://elsewhere:5000",
        checkpoint_every_s=1.0,
    )
    check_resumable(GOOD, wanted)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("postgresql://user:secret@host/a", "postgresql://user:other@host/a"),
        ("postgresql://user:secret@host/a", "postgresql://user@host/a"),
        ("postgresql://host/a?user=u&password=1", "postgresql://host/a?user=u&password=2"),
    ],
)
def test_the_password_of_a_study_may_change(old: str, new: str) -> None:
    check_resumable(replace(GOOD, study=old), replace(GOOD, study=new, resume="first"))


def test_no_password_is_shown_when_the_study_has_changed() -> None:
    stored = replace(GOOD, study="postgresql://user:secret@host/a")
    wanted = replace(GOOD, study="postgresql://user:hidden@host/b")
    with pytest.raises(UserError, match="--study postgresql://user@host/a -> ") as caught:
        check_resumable(stored, wanted)
    assert "secret" not in str(caught.value)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../up",
        "a/b",
        "a\\b",
        "/root",
        "-rf",
        ".hidden",
        "a b",
        "a\n",
        "é",
        "a" * 65,
    ],
)
def test_a_name_that_is_no_safe_folder_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="must be letters"):
        check_name(name)


@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", fullmatch=True))
def test_a_good_name_stays_in_its_folder(name: str) -> None:
    check_name(name)
    assert (Path("/runs") / name).resolve().parent == Path("/runs")


def test_new_names_are_never_taken(tmp_path: Path) -> None:
    names = set()
    for _ in range(5):
        name = new_name(tmp_path)
        check_name(name)
        (tmp_path / name).mkdir()
        names.add(name)
    assert len(names) == 5


@pytest.mark.parametrize(
    ("given", "keys"),
    [
        ((), ("val_accuracy",)),
        (("accuracy",), ("val_accuracy",)),
        (("val_accuracy",), ("val_accuracy",)),
        (("loss", "num_params"), ("val_loss", "num_params")),
        (("digit_accuracy", "train_time_s"), ("val_digit_accuracy", "train_time_s")),
    ],
)
def test_objectives_become_keys(given: tuple[str, ...], keys: tuple[str, ...]) -> None:
    settings = replace(GOOD, objective=given).for_task(TASK)
    assert settings == replace(GOOD, objective=keys)
    assert settings.for_task(TASK) == settings


@pytest.mark.parametrize("name", ["roc_auc", "val_roc_auc", "test_accuracy", ""])
def test_an_objective_that_the_task_does_not_measure_is_refused(name: str) -> None:
    known = ", ".join(TASK.better)
    with pytest.raises(
        UserError, match=f"unknown objective val_.*: task larger_digit measures {known}"
    ) as caught:
        replace(GOOD, objective=("accuracy", name)).for_task(TASK)
    assert "\n" not in str(caught.value)


def test_an_objective_under_two_names_is_one() -> None:
    with pytest.raises(UserError, match="--objective names one twice"):
        replace(GOOD, objective=("accuracy", "val_accuracy")).validate()


def test_a_task_gets_its_own_options() -> None:
    settings = replace(GOOD, dataset="digits", train_pairs=9, data_dir=Path("x"))
    own = ShippedOptions(dataset="digits", train_pairs=9, data_dir=Path("x"))
    assert settings.options_of(TASK) == own
    assert settings.options_of(DISC_VARIANTS[0].task) == own
    assert settings.options_of(replace(TASK, options=None)) is None


def test_options_of_the_users_data_are_handed_on() -> None:
    table = TableOptions(data="a.csv", target="left", holdout=0.0, drop=("id",), group="patient")
    given = {field.name: getattr(table, field.name) for field in fields(table)}
    assert replace(GOOD, **given).table_options == table


def test_checkpoints_of_a_sweep_are_below_its_storage_whatever_the_uri_ends_with() -> None:
    uri = "s3://bucket/path?endpoint_override=127.0.0.1:9000&scheme=http"
    assert replace(GOOD, storage=uri).checkpoint_root("first") == (
        "s3://bucket/path/first?endpoint_override=127.0.0.1:9000&scheme=http"
    )
