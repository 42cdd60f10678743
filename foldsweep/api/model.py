"""A trained model, for predictions on new rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analysis.models.keeping import check_folder, keep
from analysis.models.trained import Places, Trained, train, train_on
from foldsweep.api.process_state import undisturbed
from foldsweep.errors import UserError
from foldsweep.recipe import Recipe
from sweeps.handover import OF_PYTHON, Given
from trainables.keep.labels import PREDICTION, labelled
from trainables.tasks.table.arrays import frame_of, is_table
from trainables.tasks.table.assembly import inputs_of
from trainables.tasks.task import DataRequest


@dataclass(frozen=True, kw_only=True, repr=False)
class Model:
    """A model of one configuration, trained on all training rows of its sweep, or on its folds.

    `Result.fit` returns it.
    """

    trained: Trained
    made: bool = False
    """Whether its variant is defined in no file, so that no other program can load it."""

    def __repr__(self) -> str:
        recipe = self.trained.model.recipe
        named = f"{recipe.variant}, trial {recipe.trial} of {recipe.sweep}"
        return f"<Model {named}: {self.trained.said}>"

    @property
    def scores(self) -> dict[str, float]:
        """Metrics on the test rows, on which no choice was based; empty without test rows."""
        return self.trained.scores

    def predict(self, inputs: Any) -> Any:
        """Predict the class or value of n rows; for a task of your own, all predictions by name.

        Args:
            inputs: A data frame with the columns of training, an array (n, ...), or arrays by
                name.

        Raises:
            UserError: If the inputs do not fit the task.
        """
        found = self._predict(inputs)
        return found.get(PREDICTION, found)

    def predict_proba(self, inputs: Any) -> np.ndarray:
        """Predict the probability of each class, (n, classes), in the order of `classes`.

        Raises:
            UserError: If the inputs do not fit the task, or the task has no classes.
        """
        model = self.trained.model
        if not model.classes:
            raise UserError.of("api-model.task-without-classes", task=model.variant.task.name)
        found = self._predict(inputs)
        return np.stack([found[f"probability_{label}"] for label in model.classes], axis=1)

    @property
    def classes(self) -> tuple[Any, ...]:
        """Names of the classes; empty for a task without classes."""
        return self.trained.model.classes

    def save(self, folder: str | Path) -> None:
        """Write the model to a folder, for use by `foldsweep predict`.

        Raises:
            UserError: If the folder contains anything else, or the variant is in no file.
        """
        self.require_file()
        with undisturbed():
            check_folder(Path(folder))
            keep(self.trained.model, Path(folder))

    def require_file(self) -> None:
        """Reject a variant whose code is in no file.

        Raises:
            UserError: If the variant is defined in this program only.
        """
        if self.made:
            name = self.trained.model.variant.name
            raise UserError.of("api-model.variant-in-no-file", variant=name)

    def _predict(self, inputs: Any) -> dict[str, np.ndarray]:
        model = self.trained.model
        with undisturbed():
            return labelled(model, model.predict(self._rows(inputs)))

    def _rows(self, inputs: Any) -> Any:
        """Convert rows to the form of the training rows."""
        schema = self.trained.model.schema
        if schema is None or schema.layout == "own" or isinstance(inputs, Mapping):
            return inputs
        if hasattr(inputs, "columns"):
            return inputs_of(inputs, schema)
        array = np.asarray(inputs)
        return inputs_of(frame_of(array) if is_table(array) else array, schema)


def fitted(recipe: Recipe, places: Places, given: Given, *, ensemble: bool = False) -> Model:
    """Train the model of a recipe.

    Its variant is made by this program, ships with foldsweep, or is in a file.

    Raises:
        UserError: If its data or variant is not available, or differs from that of the sweep.
    """
    made = recipe.space in given.spaces
    if not made and given.task is None:
        try:
            return Model(trained=train(recipe, places, ensemble=ensemble))
        except UserError as error:
            ships = recipe.record.get("schema") is None or recipe.origin.get("data") is not None
            if ships or recipe.space.endswith(".py"):
                raise
            name = recipe.sweep.partition("/")[0]
            raise UserError.of(
                "api-model.task-or-spaces-needed", reason=error, sweep=name
            ) from None
    variant = given.load(f"{OF_PYTHON}{recipe.space}", None).variant
    data = variant.task.load(DataRequest(seed=recipe.seed))
    if (variant.full_name, data.digest) != (recipe.variant, recipe.data_digest):
        raise UserError.of(
            "api-model.other-variant-or-data",
            variant=variant.full_name,
            digest=data.digest,
            sweep=recipe.sweep,
            trained=recipe.variant,
            trained_digest=recipe.data_digest,
        )
    trained = train_on(recipe, variant, data, places, ensemble=ensemble)
    return Model(trained=trained, made=made or not recipe.origin)
