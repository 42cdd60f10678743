"""Recipes of format 1, exported by an earlier version, are read like current ones."""

from pathlib import Path

import pytest

from foldsweep.recipe import Recipe
from trainables.variants import variant_named

FILES = sorted((Path(__file__).parents[1] / "fixtures" / "format1").glob("best-*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_earlier_recipe_is_read(path, tmp_path):
    recipe = Recipe.load(path)
    variant = variant_named(recipe.variant)
    assert recipe.format == 2
    assert recipe.task == variant.task.name
    assert recipe.variant == variant.full_name
    assert recipe.objective_key == "val_accuracy"
    assert len(recipe.fold_scores["val_accuracy"]) == recipe.folds == 5
    config = variant.config.from_dict(recipe.config)
    assert config.to_dict() == {k: _plain(v) for k, v in recipe.config.items()}
    assert set(recipe.origin) == {"dataset", "train_pairs", "test_pairs"}
    recipe.save(tmp_path / "again.yaml", comment="Again.")
    assert Recipe.load(tmp_path / "again.yaml") == recipe


def _plain(value):
    return tuple(value) if isinstance(value, list) else value


def test_there_are_earlier_recipes():
    assert len(FILES) == 4
