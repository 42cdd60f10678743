"""Store with sweeps of two shipped tasks and of a table, and fixtures that export from it."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analysis.export import main
from foldsweep import names
from foldsweep.recipe import Recipe
from tests.analysis.export.cases import IMAGES, recorded
from tests.trainables.keep.cases import table, task_data
from trainables.tasks.larger_digit import TASK


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tables")


@pytest.fixture(scope="session")
def swept(make_store: Callable[[], Any], tables: Path) -> Any:
    """Store with sweeps of two shipped tasks and of a table, each with its task record."""
    store = make_store()
    kind = type(store.data["digits"])
    store.data["digits"] = kind("digits", IMAGES.digest)
    store.add("on_test/mlp", 0.995, select_on_test=True)
    store.add("old/mlp", 0.99, 0.5)
    store.add("loss/mlp", 0.6, 0.9, 0.7, objective="val_loss")
    store.add("small/mlp", 0.6, 0.9, objective="num_params val_accuracy")
    store.add("other/mlp", 0.95, dataset="mnist")
    store.add("elsewhere/mlp", 0.98, experiment="theirs")
    store.add("both/cnn", 0.8, 0.7)
    store.add("both/mlp", 0.5, "PRUNED", 0.75, "FAIL", 0.625, "RUNNING", 0.75)
    store.add("failed/cnn_ws", "FAIL", "PRUNED")
    store.add("own/mine", 0.5, space_file="/spaces/mine.py")
    store.add("twelve/mlp", tuple(0.5 + i / 100 for i in range(12)), folds=4, repeats=3)
    record = json.dumps(recorded(TASK, IMAGES))
    for parent in store.parents.values():
        store.client.log_text(parent, record, names.TASK_FILE)
    for sweep, target, objective, spaces in (
        ("auc", "left", "roc_auc", ("mlp", "logistic")),
        ("rmse", "bill", "rmse", ("ridge",)),
    ):
        task = table(tables, target, objective)
        data = task_data(task)
        store.data["customers"] = kind("customers", data.digest, len(data.train), 32)
        for space in spaces:
            store.add(
                f"{sweep}/{space}",
                0.7,
                0.8,
                objective=f"val_{objective}",
                measured=f"val_{objective}",
                task="customers",
                dataset="customers",
                config={"epochs": 2, "batch_size": 40} if space == "mlp" else {},
            )
            parent = store.parents[f"{sweep}/{space}"]
            record = json.dumps(recorded(task, data))
            store.client.log_text(parent, record, names.TASK_FILE)
    _without_lr(store)
    store.add("bare/mlp", 0.5)
    return store


def _without_lr(store: Any) -> None:
    """Empty the configuration of estimators: the store adds a learning rate, which they lack."""
    for (sweep, _), run in store.trials.items():
        if sweep in ("auc/logistic", "rmse/ridge"):
            store.client.set_tag(run, names.TAG_CONFIG, "{}")


@pytest.fixture
def run(
    swept: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., list[str]]:
    """Function that runs the program in an empty folder and returns its output lines."""
    monkeypatch.chdir(tmp_path)

    def run(*args: str, uri: str = swept.uri) -> list[str]:
        monkeypatch.setattr(sys, "argv", ["export.py", *args, "--tracking-uri", uri])
        assert main() == 0
        return capsys.readouterr().out.splitlines()

    return run


@pytest.fixture
def export(run: Callable[..., list[str]], tmp_path: Path) -> Callable[..., dict[str, Recipe]]:
    """Function that runs the program and returns the exported recipes by file name."""

    def export(*args: str, **options: str) -> dict[str, Recipe]:
        said = run(*args, **options)
        files = sorted(tmp_path.rglob("*.yaml"))
        assert len(said) == len(files)
        assert all(file.name in "\n".join(said) for file in files)
        return {file.name: Recipe.load(file) for file in files}

    return export
