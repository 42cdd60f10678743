"""Content of an exported recipe."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from analysis.export import recipe_of
from analysis.load import complete_trials, open_store
from tests.analysis.export.cases import IMAGES, recorded
from tests.refusals import text
from trainables.tasks.larger_digit import TASK
from trainables.variants import VARIANTS


def test_scores_are_in_order_of_folds(export: Callable) -> None:
    """Repeats have more folds than one cross-validation, and fold 10 comes after fold 9."""
    (recipe,) = export("--sweep", "twelve").values()
    assert recipe.fold_scores["val_accuracy"] == [0.5 + i / 100 for i in range(12)]
    assert recipe.folds == 4


def test_recipe_says_where_it_comes_from(swept: Any) -> None:
    store = open_store(swept.uri, "foldsweep")
    recipe = recipe_of(store, complete_trials(store, "both/mlp")[0])
    assert recipe.data_digest == IMAGES.digest
    assert recipe.origin == {"dataset": "digits", "train_pairs": 30, "test_pairs": 20}
    assert (recipe.folds, recipe.seed, recipe.num_params) == (2, 0, 321)
    assert (recipe.task, recipe.objective, recipe.format) == ("larger_digit", "accuracy", 2)
    assert recipe.fold_scores["val_accuracy"] == [0.74, 0.76]
    assert recipe.score["val_accuracy_std"] == 0.0125
    assert set(recipe.score) == {
        "val_accuracy",
        "val_accuracy_std",
        "val_loss",
        "val_loss_std",
    }
    assert recipe.record == recorded(TASK, IMAGES)["record"]
    assert recipe.mlflow == {
        "tracking_uri": swept.uri,
        "experiment": "foldsweep",
        "run_id": swept.trials["both/mlp", 2],
        "sweep_run_id": swept.parents["both/mlp"],
    }
    assert {"python", "torch", "numpy"} <= set(recipe.versions)
    config = VARIANTS[recipe.short_variant].config.from_dict(recipe.config)
    assert (config.lr, config.epochs) == (0.003, 4)


def test_recipe_of_a_table_holds_its_schema_and_no_folder(
    run: Callable, export: Callable, tables: Path
) -> None:
    recipe = export("--sweep", "auc", "--space", "logistic")["best-auc-logistic.yaml"]
    assert (recipe.task, recipe.objective) == ("customers", "roc_auc")
    assert recipe.record["schema"]["classes"] == ["no", "yes"]
    assert recipe.origin["data"] == "customers.csv"
    assert str(tables) not in Path("best-auc-logistic.yaml").read_text()
    (said,) = run("--sweep", "auc", "--space", "logistic")
    assert said == text(
        "export.written",
        path="best-auc-logistic.yaml",
        trial=1,
        sweep="auc/logistic",
        metric="val_roc_auc",
        score="0.8000 ± 0.0125",
        data="customers",
    )


def test_commands_name_the_data_where_they_must(run: Callable, tables: Path) -> None:
    """They do not name a file that is beside the recipe."""

    def commands() -> list[str]:
        run("--sweep", "rmse")
        return re.findall("python sweeps.*", Path("best-rmse-ridge.yaml").read_text())

    file = "python sweeps/evaluate.py best-rmse-ridge.yaml"
    assert commands() == [
        f"{file} --rounds 10 --data customers.csv",
        f"{file} --cv --data customers.csv",
    ]
    shutil.copy(tables / "customers.csv", "customers.csv")
    assert commands() == [f"{file} --rounds 10", f"{file} --cv"]
    Path("my data").mkdir()
    shutil.move("customers.csv", "my data/customers.csv")
    run("--sweep", "rmse", "--data", "my data/customers.csv")
    assert "--data 'my data/customers.csv'" in Path("best-rmse-ridge.yaml").read_text()
