"""Trains an exported configuration and writes stand-alone files of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from analysis.models.own_code import own_variant
from foldsweep.programs import EpochLine, console
from trainables.data.images import load_images
from trainables.data.pairs import PairData
from trainables.data.source import Source
from trainables.keep.fit import fit
from trainables.keep.formats import SUFFIXES, write_standalone
from trainables.keep.model import FittedModel
from trainables.recipe import ModelFormat, Recipe
from trainables.variants import variant_named


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A model, and the data that it was trained and is measured on."""

    model: FittedModel
    data: PairData
    source: Source

    def right(self, model: FittedModel) -> Bool[np.ndarray, " n"]:
        """Which of the test pairs a model gets right, this one or another."""
        return model.predict(self.data.test.images).decision == (self.data.test.target == 1)


def train(recipe: Recipe, *, data_dir: Path | None) -> Trained:
    """Train what a recipe says on all of its training pairs, and say what it came to.

    Raises:
        UserError: If data or variant are not those of the sweep, or the training diverges.
    """
    if recipe.space.endswith(".py"):
        console.print(f"variant {recipe.variant} is the code in {recipe.space}")
        variant = own_variant(recipe.space, recipe.variant)
    else:
        variant = variant_named(recipe.variant)
    source, said = load_images(recipe.dataset, data_dir=data_dir)
    console.print(said)
    data = recipe.draw_pairs(source)
    line = EpochLine(variant.config.from_dict(recipe.config).epochs)
    model = fit(recipe, variant, data, after_epoch=line.done)
    trained = Trained(model=model, data=data, source=source)
    accuracy = trained.right(model).mean()
    console.print(
        f"{variant.name} trained for {line.epochs} epochs on all {len(data.train)} training pairs:"
        f" {accuracy:.4f} of {len(data.test)} test pairs right"
    )
    return trained


def write_files(trained: Trained, formats: Sequence[ModelFormat], stem: Path) -> None:
    """Write a stand-alone file of each format beside the recipe.

    Raises:
        UserError: If the model cannot be written so.
    """
    for kind in formats:
        path = stem.with_name(stem.name + SUFFIXES[kind])
        test = trained.data.test.images
        difference = write_standalone(trained.model, path, kind, test)
        off = f"within {difference:.1e}" if difference else "to the last bit"
        console.print(f"{path}: {kind}, equal to the original {off} on {len(test)} test pairs")
