"""Invalid sweeps are refused before anything is created."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweeps.launch import launch
from sweeps.settings import SweepSettings
from tests.refusals import refused
from tests.sweeps.launch.launches import OWN_TASK, Waiting

WRONG_PORT = "Port out of range 0-65535"


@pytest.mark.parametrize(
    ("values", "kind", "told"),
    [
        (
            {"space": ("mlp", "disc_relu")},
            "prepare.several-tasks",
            {"tasks": "larger_digit and disc"},
        ),
        (
            {"space": ("mlp", "a.py")},
            "prepare.several-tasks",
            {"spaces": "mlp and a", "tasks": "larger_digit and one"},
        ),
        (
            {"space": ("a.py", "b.py")},
            "prepare.several-tasks",
            {"spaces": "a and b", "tasks": "one and two"},
        ),
        ({"space": ("logistic",)}, "loading.space-for-own-data", {"space": "logistic"}),
        ({"space": ("logistc",)}, "loading.space-unknown", {"space": "logistc"}),
        (
            {"space": ("cnn_ws_aux",), "data": "iris"},
            "loading.space-for-shipped-task",
            {"space": "cnn_ws_aux"},
        ),
        (
            {"space": ("mlp", "logistc"), "data": "iris"},
            "loading.space-unknown-for-data",
            {"space": "logistc"},
        ),
        ({"space": ("cnn",), "data": "iris"}, "cnn.task-without-images", {"task": "iris"}),
        (
            {"space": ("ridge",), "data": "iris"},
            "estimator-catalogue.task-kind-unsupported",
            {"estimator": "ridge"},
        ),
        (
            {"space": ("logistic",), "data": "diabetes"},
            "estimator-catalogue.task-kind-unsupported",
            {"estimator": "logistic"},
        ),
        (
            {"space": ("a.py",), "data": "iris"},
            "prepare.space-has-task",
            {"space": "a", "task": "one"},
        ),
        (
            {"space": ("same.py",), "data": "iris"},
            "prepare.space-has-task",
            {"space": "same", "task": "iris"},
        ),
        (
            {"space": ("mlp",), "data": "diabetes", "objective": ("roc_auc",)},
            "scores.objective-unknown",
            {"objective": "roc_auc", "task": "regression"},
        ),
        (
            {"space": ("mlp",), "data": "iris", "objective": ("r2",)},
            "scores.objective-unknown",
            {"objective": "r2", "task": "classification of 3 classes"},
        ),
        (
            {"space": ("mlp",), "data": "iris", "objective": ("val_acuracy",)},
            "scores.objective-unknown",
            {"objective": "acuracy"},
        ),
        (
            {"space": ("mlp",), "data": "iris", "objective": ("accuracy", "acuracy")},
            "scores.objective-unknown",
            {"objective": "acuracy", "task": "classification of 3 classes"},
        ),
        (
            {"space": ("mlp",), "dataset": "digits", "objective": ("roc_auc",)},
            "settings.objective-unknown",
            {"unknown": "val_roc_auc", "task": "larger_digit"},
        ),
        (
            {"space": ("mlp",), "dataset": "digits", "train_pairs": 1},
            "splits.more-folds-than-rows",
            {"rows": 1},
        ),
        (
            {"space": ("mlp",), "dataset": "digits", "test_pairs": 0},
            "pairs.number-out-of-range",
            {"pairs": "0", "part": "test"},
        ),
        ({"space": ("mlp",), "dataset": "disc"}, "larger-digit.dataset-without-digits", {}),
        (
            {"space": ("logistic",), "data": "iris", "folds": 60},
            "folds.more-than-rarest-class",
            {"folds": 60},
        ),
        (
            {"space": ("mlp",), "data": "iris", "holdout": 0.0, "select_on_test": True},
            "samples.test-rows-missing",
            {"data": "iris"},
        ),
        (
            {"space": ("logistic",), "data": "iris", "precision": "bfloat16"},
            "prepare.precision-refused",
            {"precision": "bfloat16", "space": "logistic"},
        ),
    ],
    ids=lambda value: " ".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_what_cannot_be_swept_is_refused_in_one_line_and_nothing_is_made(
    values: dict[str, Any], kind: str, told: dict[str, object], here: Path
) -> None:
    for name, task in (("a", "one"), ("b", "two"), ("same", "iris")):
        (here / f"{name}.py").write_text(OWN_TASK.format(task=task, name=name))
    settings = SweepSettings(**{"tracking_uri": f"sqlite:///{here}/mlflow.db", **values})
    settings.validate()
    with refused(kind, **told) as caught:
        launch(settings, None, Waiting(settings))
    assert "\n" not in str(caught.value)
    assert {path.name for path in here.iterdir()} - {"__pycache__"} == {"a.py", "b.py", "same.py"}


@pytest.mark.parametrize(
    ("uri", "kind", "values"),
    [
        ("ftp://x", "tracking.scheme-unknown", {"scheme": "ftp"}),
        ("http://", "tracking.host-missing", {}),
        ("http://127.0.0.1:99999999", "tracking.uri-invalid", {"reason": WRONG_PORT}),
        (
            "sqlite:////proc/none/mlflow.db",
            "tracking.store-not-writable",
            {"path": "/proc/none/mlflow.db"},
        ),
        ("mssql://h/db", "tracking.driver-unusable", {"reason": "No module named 'pyodbc'"}),
    ],
)
def test_where_runs_can_never_go_is_said_before_anything_is_made(
    uri: str, kind: str, values: dict[str, object], here: Path
) -> None:
    settings = SweepSettings(space=("mlp",), data="iris", tracking_uri=uri)
    with refused(kind, **values) as caught:
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
    with refused("prepare.storage-unusable", uri=uri) as caught:
        launch(settings, None, Waiting(settings))
    assert "\n" not in str(caught.value)
    assert not list(here.iterdir())
