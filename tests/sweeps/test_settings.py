"""Valid and invalid settings."""

import math
import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foldsweep.errors import UserError
from sweeps.settings import COMPARABLE, SweepSettings, check_name, check_resumable, new_name
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
    ({"lag": (4, 0)}, "--lag must be at least 1, but is 4 0"),
    ({"lag": (4,), "order": "arrival"}, "--lag requires --order trial, one objective and"),
    ({"lag": (4,), "scheduler": "median"}, "--lag requires --order trial, one objective and"),
    ({"lag": (4,), "objective": ("accuracy", "f1")}, "--lag requires --order trial, one"),
    ({"lag": (4,), "objective": ("train_time_s",)}, "--lag requires --order trial, one"),
    ({"warm_start": ("../up",)}, "--warm-start '..' must be letters"),
    ({"warm_start": ("/etc",)}, "--warm-start '' must be letters"),
    ({"warm_start": ("a/b/c",)}, "--warm-start a/b/c must be NAME or NAME/SPACE"),
    ({"warm_start": ("a", "a")}, "--warm-start names a sweep twice: a a"),
    ({"warm_start": ("a/mlp",), "name": "a"}, "--warm-start a/mlp names this sweep: use --resume"),
    ({"warm_start": ("a",), "sampler": "cmaes"}, "--warm-start requires --sampler tpe or gp and"),
    ({"warm_start": ("a",), "objective": ("accuracy", "f1")}, "--warm-start requires --sampler"),
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
    ({"objective": ("val_loss", "val_loss")}, "--objective names a metric twice"),
    (
        {"objective": ("val_loss", "num_params"), "sampler": "cmaes"},
        "--sampler cmaes takes one objective",
    ),
    ({"sampler": "nsga2", "objective": ("val_loss",)}, "--sampler nsga2 needs several objectives"),
    ({"sampler": "nsga2"}, "--sampler nsga2 needs several objectives"),
    ({"data": "iris", "dataset": "digits"}, "--data and --dataset exclude each other"),
    ({"data": "iris", "train_pairs": 5}, "--data and --train-pairs exclude each other"),
    ({"data": "iris", "data_dir": Path("x")}, "--data and --data-dir exclude each other"),
    ({"target": "left"}, "--target requires --data FILE"),
    ({"holdout": 0.5}, "--holdout requires --data FILE"),
    ({"test": Path("t.csv")}, "--test requires --data FILE"),
    ({"repeats": 2}, "--repeats requires --data FILE"),
    ({"drop": ("id",)}, "--drop requires --data FILE"),
    ({"task": "regression"}, "--task requires --data FILE"),
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


OTHER: dict[str, Any] = {
    "space": ("cnn",),
    "dataset": "digits",
    "train_pairs": 10,
    "test_pairs": 20,
    "folds": 3,
    "epochs": 7,
    "precision": "bfloat16",
    "warm_start": ("earlier",),
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
    with pytest.raises(UserError, match="--objective names a metric twice"):
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
