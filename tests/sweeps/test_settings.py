"""Valid and invalid settings."""

import math
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.settings import COMPARABLE, SweepSettings, check_name, check_resumable, new_name
from tests.refusals import refused, text
from trainables.models.disc import DISC_VARIANTS
from trainables.tasks.larger_digit import TASK
from trainables.tasks.options import ShippedOptions, TableOptions

GOOD = SweepSettings(space=("mlp",))


def outside(option: str, rule: str, value: str) -> tuple[str, dict[str, Any]]:
    """Kind and values of an option that all programs check in the same way."""
    return "programs.option-out-of-range", {"option": option, "rule": rule, "value": value}


def beyond(option: str, rule: str, value: object) -> tuple[str, dict[str, Any]]:
    """Kind and values of an option with a range of its own."""
    return "settings.option-out-of-range", {"option": option, "rule": rule, "value": value}


MOST = text("rules.at-most", most=10**9)
INVALID: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
    ({"trials": 0}, *outside("trials", text("rules.at-least", least=1), "0")),
    ({"folds": 1}, *outside("folds", text("rules.at-least", least=2), "1")),
    ({"epochs": 0}, *outside("epochs", text("rules.at-least", least=1), "0")),
    ({"concurrency": 0}, *outside("concurrency", text("rules.at-least", least=1), "0")),
    ({"max_failures": -1}, *outside("max-failures", text("rules.at-least", least=0), "-1")),
    ({"folds": 10**9}, *outside("folds", text("rules.at-most", most=10_000), "1000000000")),
    ({"trials": 10**400}, *outside("trials", MOST, text("checks.huge-number", figures=401))),
    ({"epochs": 10**12}, *outside("epochs", MOST, "1000000000000")),
    ({"concurrency": 2**64}, *outside("concurrency", MOST, "18446744073709551616")),
    (
        {"max_failures": 10**5000},
        *outside("max-failures", MOST, text("checks.huge-number", figures=5001)),
    ),
    ({"seed": 10**400}, *beyond("--seed", "below 2**32", text("checks.huge-number", figures=401))),
    ({"checkpoint_every_s": math.inf}, *outside("checkpoint-every-s", MOST, "inf")),
    ({"lag": (4, 0)}, *beyond("--lag", "at least 1", "4 0")),
    ({"lag": (4,), "order": "arrival"}, "settings.lag-without-order", {}),
    ({"lag": (4,), "scheduler": "median"}, "settings.lag-without-order", {}),
    ({"lag": (4,), "objective": ("accuracy", "f1")}, "settings.lag-without-order", {}),
    ({"lag": (4,), "objective": ("train_time_s",)}, "settings.lag-without-order", {}),
    (
        {"warm_start": ("../up",)},
        "settings.name-invalid",
        {"option": "--warm-start", "name": ".."},
    ),
    ({"warm_start": ("/etc",)}, "settings.name-invalid", {"option": "--warm-start", "name": ""}),
    ({"warm_start": ("a/b/c",)}, "settings.warm-start-not-a-name", {"given": "a/b/c"}),
    ({"warm_start": ("a", "a")}, "settings.warm-start-named-twice", {"sweeps": "a a"}),
    (
        {"warm_start": ("a/mlp",), "name": "a"},
        "settings.warm-start-is-this-sweep",
        {"given": "a/mlp"},
    ),
    (
        {"warm_start": ("a",), "sampler": "cmaes"},
        "settings.warm-start-not-learnt",
        {"samplers": "tpe or gp"},
    ),
    (
        {"warm_start": ("a",), "objective": ("accuracy", "f1")},
        "settings.warm-start-not-learnt",
        {},
    ),
    ({"seed": -1}, *beyond("--seed", "at least 0", "-1")),
    ({"seed": 2**32}, *beyond("--seed", "below 2**32", "4294967296")),
    ({"time_budget": 0.0}, *beyond("--time-budget", "above 0", 0.0)),
    ({"time_budget": -3.0}, *beyond("--time-budget", "above 0", -3.0)),
    ({"time_budget": math.nan}, *beyond("--time-budget", "above 0", math.nan)),
    ({"time_budget": math.inf}, *beyond("--time-budget", "at most 1,000,000,000", math.inf)),
    ({"cpus_per_trial": 0.0}, *beyond("--cpus-per-trial", "above 0", 0.0)),
    ({"cpus_per_trial": math.inf}, *beyond("--cpus-per-trial", "at most 4,096", math.inf)),
    ({"cpus_per_trial": 2.0**40}, *beyond("--cpus-per-trial", "at most 4,096", 2.0**40)),
    (
        {"gpus_per_trial": math.inf},
        *outside("gpus-per-trial", text("rules.at-most", most=4_096), "inf"),
    ),
    ({"trial_timeout": 0.0}, *beyond("--trial-timeout", "above 0", 0.0)),
    ({"trial_timeout": math.nan}, *beyond("--trial-timeout", "above 0", math.nan)),
    (
        {"gpus_per_trial": -0.5},
        *outside("gpus-per-trial", text("rules.at-least", least=0), "-0.5"),
    ),
    (
        {"gpus_per_trial": math.nan},
        *outside("gpus-per-trial", text("rules.at-least", least=0), "nan"),
    ),
    (
        {"checkpoint_every_s": -1.0},
        *outside("checkpoint-every-s", text("rules.at-least", least=0), "-1.0"),
    ),
    (
        {"checkpoint_every_s": math.nan},
        *outside("checkpoint-every-s", text("rules.at-least", least=0), "nan"),
    ),
    ({"name": "../up"}, "settings.name-invalid", {"option": "sweep name", "name": "../up"}),
    ({"space": ()}, "settings.no-space", {}),
    (
        {"space": ("mlp", "cnn", "mlp")},
        "settings.space-named-twice",
        {"spaces": "mlp cnn mlp"},
    ),
    (
        {"objective": ("val_loss", "val_loss")},
        "settings.objective-named-twice",
        {"metrics": "val_loss val_loss"},
    ),
    (
        {"objective": ("val_loss", "num_params"), "sampler": "cmaes"},
        "settings.cmaes-with-objectives",
        {},
    ),
    (
        {"sampler": "nsga2", "objective": ("val_loss",)},
        "settings.nsga2-with-one-objective",
        {},
    ),
    ({"sampler": "nsga2"}, "settings.nsga2-with-one-objective", {}),
    (
        {"data": "iris", "dataset": "digits"},
        "settings.data-of-two-kinds",
        {"option": "--dataset"},
    ),
    (
        {"data": "iris", "train_pairs": 5},
        "settings.data-of-two-kinds",
        {"option": "--train-pairs"},
    ),
    (
        {"data": "iris", "data_dir": Path("x")},
        "settings.data-of-two-kinds",
        {"option": "--data-dir"},
    ),
    ({"target": "left"}, "settings.option-without-data", {"option": "--target"}),
    ({"holdout": 0.5}, "settings.option-without-data", {"option": "--holdout"}),
    ({"test": Path("t.csv")}, "settings.option-without-data", {"option": "--test"}),
    ({"repeats": 2}, "settings.option-without-data", {"option": "--repeats"}),
    ({"drop": ("id",)}, "settings.option-without-data", {"option": "--drop"}),
    ({"task": "regression"}, "settings.option-without-data", {"option": "--task"}),
]


@pytest.mark.parametrize(("changes", "kind", "values"), INVALID)
def test_a_value_that_cannot_be_meant_is_refused(
    changes: dict[str, Any], kind: str, values: dict[str, Any]
) -> None:
    with refused(kind, **values) as caught:
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
    with refused("settings.changed-on-resume", sweep="first") as caught:
        check_resumable(GOOD, wanted)
    changed = str(caught.value.values["changed"])
    assert changed.startswith(f"--{name.replace('_', '-')} ")
    assert changed.endswith(f" -> {shown}")


def test_all_changed_settings_are_named_at_once() -> None:
    with refused("settings.changed-on-resume", changed="--folds 5 -> 3; --seed 0 -> 5"):
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
    changed = "--study postgresql://user@host/a -> postgresql://user@host/b"
    with refused("settings.changed-on-resume", changed=changed) as caught:
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
    with refused("settings.name-invalid", option="sweep name", name=name):
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
    with refused("settings.objective-unknown", task="larger_digit", known=known) as caught:
        replace(GOOD, objective=("accuracy", name)).for_task(TASK)
    assert str(caught.value.values["unknown"]).startswith("val_")
    assert "\n" not in str(caught.value)


def test_an_objective_under_two_names_is_one() -> None:
    with refused("settings.objective-named-twice", metrics="accuracy val_accuracy"):
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
