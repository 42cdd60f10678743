"""Invalid sweeps are refused before anything is created."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from foldsweep.errors import UserError
from sweeps.launch import launch
from sweeps.settings import SweepSettings
from tests.sweeps.launch.launches import OWN_TASK, Waiting


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"space": ("mlp", "disc_relu")}, r"are for the tasks larger_digit and disc: run a sweep"),
        ({"space": ("mlp", "a.py")}, r"spaces mlp and a are for the tasks larger_digit and one:"),
        (
            {"space": ("a.py", "b.py")},
            r"spaces a and b are for the tasks one and two: run a sweep",
        ),
        ({"space": ("logistic",)}, r"logistic is for your own data: give --data FILE --target"),
        ({"space": ("logistc",)}, r"unknown space 'logistc': known are mlp, .*"),
        (
            {"space": ("cnn_ws_aux",), "data": "iris"},
            r"unknown space 'cnn_ws_aux': .* is for a task that ships: leave out --data",
        ),
        ({"space": ("mlp", "logistc"), "data": "iris"}, r"unknown space 'logistc': known are mlp"),
        ({"space": ("cnn",), "data": "iris"}, r"space cnn is for images, which iris has none of"),
        ({"space": ("ridge",), "data": "iris"}, r"ridge"),
        ({"space": ("logistic",), "data": "diabetes"}, r"logistic"),
        ({"space": ("a.py",), "data": "iris"}, r"space a defines its own task, one: leave out --"),
        (
            {"space": ("mlp",), "data": "diabetes", "objective": ("roc_auc",)},
            r"objective 'roc_auc' is no metric of a regression: choose r2, ",
        ),
        (
            {"space": ("mlp",), "data": "iris", "objective": ("r2",)},
            r"objective 'r2' is no metric of a classification of 3 classes: choose accuracy, ",
        ),
        ({"space": ("mlp",), "data": "iris", "objective": ("val_acuracy",)}, r"acuracy"),
        (
            {"space": ("mlp",), "data": "iris", "objective": ("accuracy", "acuracy")},
            r"'acuracy' is no metric of a classification of 3 classes: choose accuracy, ",
        ),
        (
            {"space": ("mlp",), "dataset": "digits", "objective": ("roc_auc",)},
            r"unknown objective val_roc_auc: task larger_digit measures val_accuracy, ",
        ),
        (
            {"space": ("mlp",), "dataset": "digits", "train_pairs": 1},
            r"cannot split 1 rows",
        ),
        ({"space": ("mlp",), "dataset": "digits", "test_pairs": 0}, r"cannot draw 0 test pairs"),
        ({"space": ("mlp",), "dataset": "disc"}, r"not --dataset disc"),
        ({"space": ("logistic",), "data": "iris", "folds": 60}, r"cannot split into 60 folds"),
        (
            {"space": ("mlp",), "data": "iris", "holdout": 0.0, "select_on_test": True},
            r"iris has no test rows \(--holdout 0\): nothing is left to measure on",
        ),
        (
            {"space": ("logistic",), "data": "iris", "precision": "bfloat16"},
            r"--precision bfloat16 is not possible in space logistic",
        ),
    ],
    ids=lambda value: " ".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_what_cannot_be_swept_is_refused_in_one_line_and_nothing_is_made(
    values: dict[str, Any], said: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, task in (("a", "one"), ("b", "two")):
        (here / f"{name}.py").write_text(OWN_TASK.format(task=task, name=name))
    settings = SweepSettings(**{"tracking_uri": f"sqlite:///{here}/mlflow.db", **values})
    settings.validate()
    with pytest.raises(UserError, match=said) as caught:
        launch(settings, None, Waiting(settings))
    assert "\n" not in str(caught.value)
    assert {path.name for path in here.iterdir()} - {"__pycache__"} == {"a.py", "b.py"}


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("ftp://x", "MLflow cannot store runs in ftp"),
        ("http://", "names no host"),
        ("http://127.0.0.1:99999999", "Port out of range"),
        ("sqlite:////proc/none/mlflow.db", "MLflow store /proc/none/mlflow.db cannot be written"),
        ("mssql://h/db", "cannot be used: No module"),
    ],
)
def test_where_runs_can_never_go_is_said_before_anything_is_made(
    uri: str, said: str, here: Path
) -> None:
    settings = SweepSettings(space=("mlp",), data="iris", tracking_uri=uri)
    with pytest.raises(UserError, match=said) as caught:
        launch(settings, None, Waiting(settings))
    assert "\n" not in str(caught.value)
    assert not list(here.iterdir())


@pytest.mark.parametrize(
    "uri", ["s3://", "s3:///path", "gs://", "nosuch://bucket/path", "http://host", "://", "s3://ü"]
)
def test_a_remote_storage_that_cannot_be_is_refused_before_anything_is_made(
    uri: str, here: Path
) -> None:
    settings = SweepSettings(data="iris", space=("logistic",), storage=uri)
    settings = replace(settings, tracking_uri=f"sqlite:///{here}/mlflow.db")
    with pytest.raises(UserError) as caught:
        launch(settings, None, Waiting(settings))
    assert str(caught.value).startswith(f"--storage {uri} cannot be used: ")
    assert "\n" not in str(caught.value)
    assert not list(here.iterdir())
