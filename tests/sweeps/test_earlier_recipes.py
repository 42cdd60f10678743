"""Recipes exported by an earlier version give the scores that it measured, to the last bit."""

import json
from pathlib import Path

import pytest
import torch

from benchmarks.bits import machine_key
from foldsweep.recipe import Recipe
from search_spaces.recipes import variant_of
from trainables.tasks.reload import data_of
from trainables.trial import Context, CrossValidation

FIXTURES = Path(__file__).parents[1] / "fixtures"
FILES = sorted((FIXTURES / "format1").glob("best-*.yaml"))
MACHINE = json.loads((FIXTURES / "bits.json").read_text())["machine"]


@pytest.mark.skipif(
    machine_key() != MACHINE,
    reason=f"scores were measured with {MACHINE}, and here is {machine_key()}",
)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_earlier_recipe_is_measured_again(path: Path) -> None:
    recipe = Recipe.load(path)
    variant = variant_of(recipe)
    data = data_of(recipe, variant.task)
    folds = variant.task.split.folds(
        data.train, target=variant.task.target, num_folds=recipe.folds, seed=recipe.seed
    )
    torch.set_num_threads(recipe.threads)
    context = Context(data=data, folds=folds, seed=recipe.seed)
    config = variant.config.from_dict(recipe.config)
    trial = CrossValidation(variant, config, context, recipe.trial)
    trial.advance(config.epochs)
    assert {name: trial.by_fold[name] for name in recipe.fold_scores} == recipe.fold_scores
