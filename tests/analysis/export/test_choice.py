"""Choice of the exported trials and of the output files."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analysis.export import recipe_of
from analysis.load import complete_trials, open_store
from foldsweep import names
from foldsweep.recipe import Recipe
from tests.refusals import said_as, text


def test_best_trial_of_the_latest_sweep_of_a_space(export: Callable) -> None:
    """Better scores of older sweeps, other experiments and incomplete trials are ignored."""
    ((name, recipe),) = export("--space", "cnn").items()
    assert name == "best-both-cnn.yaml"
    assert (recipe.sweep, recipe.trial, recipe.dataset) == ("both/cnn", 0, "digits")
    assert recipe.score["val_accuracy"] == 0.8


def test_best_is_meant_by_the_objective_of_the_sweep(export: Callable) -> None:
    (recipe,) = export("--sweep", "loss").values()
    assert (recipe.trial, recipe.score["val_loss"]) == (1, 1 - 0.9)
    assert (recipe.objective, recipe.objective_key) == ("loss", "val_loss")


def test_objective_that_is_no_score_is_replaced_by_the_task_s(export: Callable) -> None:
    (recipe,) = export("--sweep", "small").values()
    assert recipe.objective == "accuracy"


def test_every_space_of_a_sweep(export: Callable) -> None:
    recipes = export("--sweep", "both")
    assert list(recipes) == ["best-both-cnn.yaml", "best-both-mlp.yaml"]
    variants = [recipe.variant for recipe in recipes.values()]
    assert variants == ["larger_digit/cnn", "larger_digit/mlp"]


def test_one_space_of_a_sweep(export: Callable) -> None:
    assert list(export("--sweep", "both", "--space", "cnn")) == ["best-both-cnn.yaml"]


def test_a_sweep_is_named_as_messages_name_it(export: Callable) -> None:
    assert list(export("--sweep", "both/cnn")) == ["best-both-cnn.yaml"]


def test_several_of_the_best(export: Callable) -> None:
    recipes = export("--sweep", "both", "--space", "mlp", "--top", "3")
    assert [recipe.trial for recipe in recipes.values()] == [6, 4, 2]
    assert list(recipes) == [
        "best-both-mlp-2.yaml",
        "best-both-mlp-3.yaml",
        "best-both-mlp.yaml",
    ]


def test_no_more_than_there_are(export: Callable) -> None:
    assert len(export("--sweep", "both", "--space", "mlp", "--top", "100")) == 4


def test_a_rule_chooses_and_says_why(run: Callable) -> None:
    said = run("--sweep", "both", "--space", "mlp", "--choose", "one-se")
    assert said_as("export.chosen", sweep="both/mlp", rule="one-se").fullmatch(said[0])
    assert said_as("choice.within-error", number=2, complete=4, error="0.0100").search(said[0])
    recipe = Recipe.load(Path("one-se-both-mlp.yaml"))
    assert recipe.trial == 2
    said = run("--sweep", "both", "--space", "mlp", "--choose", "equivalent-smallest")
    why = text("words.none-equivalent", limit="1.0 percentage point")
    chosen = {"sweep": "both/mlp", "rule": "equivalent-smallest"}
    assert said[0] == text("export.chosen", **chosen, why=why)
    assert Recipe.load(Path("equivalent-smallest-both-mlp.yaml")).trial == 2


def test_one_run(export: Callable, swept: Any) -> None:
    ((name, recipe),) = export("--run", swept.trials["old/mlp", 1]).items()
    assert (name, recipe.trial, recipe.sweep) == ("best-old-mlp.yaml", 1, "old/mlp")
    assert recipe.mlflow["run_id"] == swept.trials["old/mlp", 1]


def test_sweep_s_own_run_means_its_best_trial(export: Callable, swept: Any) -> None:
    (recipe,) = export("--run", swept.parents["both/mlp"]).values()
    assert recipe.trial == 2


def test_datasets_are_told_apart(export: Callable) -> None:
    (recipe,) = export("--sweep", "other").values()
    assert recipe.dataset == "mnist"


def test_folder_to_write_to(export: Callable, tmp_path: Path) -> None:
    (tmp_path / "my recipes").mkdir()
    export("--space", "cnn", "--out", "my recipes")
    (path,) = (tmp_path / "my recipes").iterdir()
    assert "python sweeps/evaluate.py 'my recipes/best-both-cnn.yaml' --rounds 10\n" in (
        path.read_text()
    )


def test_exporting_again_replaces_the_file(export: Callable) -> None:
    assert export("--space", "cnn").keys() == export("--space", "cnn").keys()


def test_another_experiment(export: Callable) -> None:
    (recipe,) = export("--space", "mlp", "--experiment", "theirs").values()
    assert (recipe.sweep, recipe.mlflow["experiment"]) == ("elsewhere/mlp", "theirs")


def test_space_of_one_s_own_is_named_by_its_file(export: Callable, swept: Any) -> None:
    run = swept.trials["own/mine", 0]
    swept.client.set_tag(run, names.TAG_FILE_DIGEST, "d" * 64)
    (recipe,) = export("--space", "mine").values()
    assert (recipe.space, recipe.file_digest) == ("/spaces/mine.py", "d" * 64)


def test_a_space_of_one_s_own_is_found_where_the_project_has_moved_to(
    export: Callable, swept: Any, tmp_path: Path
) -> None:
    """The recorded path is the old one. A file at the new path must have the recorded digest."""
    run, file = swept.trials["own/mine", 0], tmp_path / "spaces" / "mine.py"
    file.parent.mkdir()
    file.write_text("def space(): ...\n")
    swept.client.set_tag(run, names.TAG_FILE_DIGEST, hashlib.sha256(b"other").hexdigest())
    (recipe,) = export("--space", "mine").values()
    assert recipe.space == "/spaces/mine.py"
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    swept.client.set_tag(run, names.TAG_FILE_DIGEST, digest)
    (recipe,) = export("--space", "mine").values()
    assert recipe.space == "spaces/mine.py"


def test_a_store_in_this_folder_is_named_relative_to_it(
    swept: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a recipient's folder, the relative URI names the recipient's own store."""
    monkeypatch.chdir(Path(swept.uri.removeprefix("sqlite:///")).parent)
    store = open_store(swept.uri, "foldsweep")
    recipe = recipe_of(store, complete_trials(store, "both/mlp")[0])
    assert recipe.mlflow["tracking_uri"] == "sqlite:///mlflow.db"
