"""Training of an exported configuration, and its stand-alone files."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from analysis.models.variants import variant_of
from foldsweep.errors import UserError
from foldsweep.numbers import shown
from foldsweep.programs import EpochLine, console
from foldsweep.recipe import ModelFormat, Recipe
from foldsweep.texts import text
from trainables.keep.fit import fit
from trainables.keep.formats import SUFFIXES, check_format, write_standalone
from trainables.keep.measure import Measured, measured
from trainables.keep.model import KeptModel
from trainables.models.estimators.config import EstimatorConfig
from trainables.tasks.reload import data_of
from trainables.tasks.samples import Data
from trainables.tasks.task import Task, Variant


@dataclass(frozen=True, kw_only=True)
class Places:
    """Places from which the data of a recipe is read again."""

    data_dir: Path | None = None
    """Folder of the files of a built-in task."""
    path: Path | None = None
    """The user's data file."""
    beside: Path | None = None
    """Folder of the recipe, in which a data file of the recorded digest is used."""

    def data_of(self, recipe: Recipe, task: Task) -> Data:
        """Read the data of a recipe's sweep.

        Raises:
            UserError: If the data is not available, or is not that of the sweep.
        """
        return data_of(recipe, task, data_dir=self.data_dir, path=self.path, beside=self.beside)


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A trained model, and the data that it was trained and is measured on."""

    model: KeptModel
    data: Data
    places: Places = Places()

    @property
    def task(self) -> Task:
        """The model's task."""
        return self.model.variant.task

    @property
    def objective(self) -> str:
        """Metric that models are compared by: the recipe's, or the task's if that is no metric."""
        name = self.model.recipe.objective
        return name if name in self.task.metrics else self.task.objective

    @property
    def groups(self) -> np.ndarray | None:
        """Group of each test row if rows of a group are dependent; None for independent rows."""
        schema = self.data.schema
        if schema is not None and schema.fold is not None:  # a column of folds replaces groups
            return None
        return self.data.test_rows.groups

    def measured(self, model: KeptModel) -> Measured:
        """The objective of a model, this one or another, on the test rows.

        Raises:
            UserError: If there are no test rows, or the metric does not apply.
        """
        name = self.objective
        return measured(model, self.data.test_rows, name, self.task.metrics[name])

    @cached_property
    def scores(self) -> dict[str, float]:
        """Every applicable metric of the task on the test rows; empty without test rows."""
        found: dict[str, float] = {}
        if self.data.test is None:
            return found
        for name, metric in self.task.metrics.items():
            try:
                found[name] = measured(self.model, self.data.test, name, metric).value()
            except UserError:
                continue
        return found

    @property
    def said(self) -> str:
        """The objective on the test rows, in words."""
        if self.data.test is None:
            return text("trained.no-test-rows")
        if self.objective not in self.scores:
            return text("trained.not-defined", metric=self.objective)
        return text(
            "trained.score",
            metric=self.objective,
            score=shown(self.scores[self.objective]),
            rows=len(self.data.test),
            unit=self.task.unit,
        )


def check_formats(
    recipe: Recipe, formats: Sequence[ModelFormat], *, ensemble: bool = False
) -> None:
    """Refuse formats that do not suit a recipe's model, before it is trained.

    Raises:
        UserError: At the first such format.
    """
    variant = variant_of(recipe)
    for kind in formats:
        network = not issubclass(variant.config, EstimatorConfig)
        check_format(network, kind, variant.name, recipe.folds if ensemble else 1)


def train(recipe: Recipe, places: Places, *, ensemble: bool = False) -> Trained:
    """Train a recipe on all of its training rows, and print the resulting score.

    Args:
        recipe: Recipe to train.
        places: Places of its data.
        ensemble: Whether to train the models of the trial's folds as an ensemble.

    Raises:
        UserError: If data or variant are not those of the sweep, or the training diverges.
    """
    if recipe.space.endswith(".py"):
        console.print(text("trained.own-code", variant=recipe.variant, file=recipe.space))
    variant = variant_of(recipe)
    data = places.data_of(recipe, variant.task)
    return train_on(recipe, variant, data, places, ensemble=ensemble)


def train_on(
    recipe: Recipe, variant: Variant, data: Data, places: Places, *, ensemble: bool = False
) -> Trained:
    """Train a recipe with its variant and data already loaded, see `train`.

    Raises:
        UserError: If the configuration does not fit the variant, or the training diverges.
    """
    network = not issubclass(variant.config, EstimatorConfig)
    config = variant.config.from_dict(recipe.config)
    console.print(data.headline)
    line = EpochLine(config.epochs)
    done = line.done if network else lambda epoch: None
    model = fit(recipe, variant, data, ensemble=ensemble, after_epoch=done)
    trained = Trained(model=model, data=data, places=places)
    epochs = f"{config.epochs} epoch{'' if config.epochs == 1 else 's'}"
    how = text("trained.network", epochs=epochs) if network else text("trained.estimator")
    name, rows, unit, score = variant.name, len(data.train), variant.task.unit, trained.said
    if ensemble:
        console.print(
            text(
                "trained.ensemble",
                variant=name,
                how=how,
                models=model.size,
                rows=rows,
                unit=unit,
                score=score,
            )
        )
    else:
        console.print(
            text("trained.whole", variant=name, how=how, rows=rows, unit=unit, score=score)
        )
    return trained


def write_files(trained: Trained, formats: Sequence[ModelFormat], stem: Path) -> None:
    """Write a stand-alone file of each format beside the recipe.

    Raises:
        UserError: If the model cannot be written in a format.
    """
    test = trained.data.test
    rows = trained.data.train if test is None else test
    where = f"{len(rows)} {'training' if test is None else 'test'} {trained.task.unit}"
    for kind in formats:
        path = stem.with_name(stem.name + SUFFIXES[kind])
        difference = write_standalone(trained.model, path, kind, rows)
        off = text("trained.within", difference=difference) if difference else text("trained.same")
        console.print(text("trained.file", path=path, format=kind, exactness=off, rows=where))
