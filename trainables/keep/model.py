"""A trained model as data: a folder with its recipe and what was learnt, which answers raw rows.

Nothing in the folder is pickled. Only where the task or variant is a user's own it holds code: the
file of that variant, as the user wrote it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from foldsweep.errors import UserError
from foldsweep.recipe import Recipe
from trainables.keep.network import FORMAT1_CONSTANTS, Predictor, empty_predictor, fill
from trainables.models.estimators.config import EstimatorConfig
from trainables.tasks.shapes import RawInput, raw_inputs, shapes_of
from trainables.tasks.task import Variant

RECIPE_FILE = "recipe.yaml"
WEIGHTS_FILE = "weights.safetensors"
ESTIMATOR_FILE = "estimator.skops"
CODE_FILE = "space.py"
"""The file of a user's own variant, in the folder of a model that needs it."""
_BATCH = 500
"""Rows in one pass; bounds memory."""

VariantOf = Callable[[Recipe, Path | None], Variant]
"""Finds the variant of a recipe; the path is that of a user's own file."""


@dataclass(frozen=True, kw_only=True, eq=False)
class KeptModel:
    """A recipe's model after training, and all that answering takes."""

    recipe: Recipe
    variant: Variant
    predictor: Predictor | None = None
    """The network, or None where `estimator` is there."""
    estimator: Any = None
    """A fitted pipeline of scikit-learn, or None where `predictor` is there."""
    raw: Mapping[str, RawInput] = field(default_factory=dict)
    """Raw inputs, in order."""
    schema: Any = None
    """Columns of a table, see `trainables.tasks.schema.Schema`; None for arrays."""
    code: str | None = None
    """Text of the file that a user's own variant is from."""

    def predict(self, inputs: Any) -> dict[str, np.ndarray]:
        """Predictions of n rows.

        Args:
            inputs: Arrays by name, one array alone where there is one input, or a data frame with
                the columns of the training table.

        Returns:
            Arrays (n, ...) by name, as the task's `predict` has them.

        Raises:
            UserError: If these are no inputs of the task.
        """
        checked = self.checked(inputs)
        if self.estimator is not None:
            from trainables.stack.estimators import predictions  # scikit-learn, which takes seconds

            return predictions(self.estimator, checked, self.variant.task)
        assert self.predictor is not None
        tensors = [torch.from_numpy(checked[name]) for name in self.raw]
        with torch.no_grad():
            batches = zip(*(t.split(_BATCH) for t in tensors), strict=True)
            parts = [self.predictor(*batch) for batch in batches]
        columns = zip(self.predictor.outputs, zip(*parts, strict=True), strict=True)
        return {name: torch.cat(part).numpy() for name, part in columns}

    def checked(self, inputs: Any) -> dict[str, np.ndarray]:
        """Raw inputs by name, in the types that training had.

        Raises:
            UserError: If a name, a shape or a number is not that of the task.
        """
        if hasattr(inputs, "columns") and self.schema is not None:
            named = self.schema.inputs(inputs)
        elif isinstance(inputs, Mapping):
            named = dict(inputs)
        else:
            named = dict.fromkeys(list(self.raw)[:1], np.asarray(inputs))
        absent = [name for name in self.raw if name not in named]
        if absent:
            raise UserError(f"inputs must be {', '.join(self.raw)}, but {absent[0]} is missing")
        found = {name: raw.array(name, named[name]) for name, raw in self.raw.items()}
        if self.variant.task.check is not None:
            self.variant.task.check(found)
        return found

    def values(self) -> dict[str, torch.Tensor]:
        """Everything that a network learnt."""
        return {} if self.predictor is None else self.predictor.values()

    def save(self, folder: Path) -> None:
        """Write the model into a folder that exists."""
        comment = "What this model was trained by; what it learnt is beside it."
        self.recipe.save(folder / RECIPE_FILE, comment=comment)
        if self.predictor is not None:
            save_file(self.predictor.values(), folder / WEIGHTS_FILE)
        else:
            from trainables.keep.estimator import save

            save(self.estimator, folder / ESTIMATOR_FILE)
        if self.code is not None:
            (folder / CODE_FILE).write_text(self.code)

    @classmethod
    def load(cls, folder: Path, *, variant_of: VariantOf) -> "KeptModel":
        """Read what `save` wrote; only the file of a user's own variant is executed.

        Args:
            folder: Folder of the model.
            variant_of: Finds the recipe's variant, by the user's file in the folder if it is one.

        Raises:
            UserError: If the folder holds no such model or one that is damaged.
        """
        recipe = Recipe.load(folder / RECIPE_FILE)
        own = recipe.space.endswith(".py")
        variant = variant_of(recipe, folder / CODE_FILE if own else None)
        code = (folder / CODE_FILE).read_text() if own else None
        raw = raw_inputs(recipe.record, variant.task)
        schema = schema_of(recipe.record)
        common = {
            "recipe": recipe,
            "variant": variant,
            "raw": raw,
            "schema": schema,
            "code": code,
        }
        config = variant.config.from_dict(recipe.config)
        if isinstance(config, EstimatorConfig):
            from trainables.keep.estimator import load

            return cls(estimator=load(folder / ESTIMATOR_FILE), **common)
        shapes = shapes_of(recipe.record, variant.task, schema)
        row = {name: given.shape for name, given in raw.items()}
        predictor = empty_predictor(variant, config, shapes, row)
        path = folder / WEIGHTS_FILE
        try:
            fill_kept(predictor, load_file(path))
        except (OSError, SafetensorError, ValueError) as error:
            raise UserError(f"{path} cannot be read: {error}") from None
        return cls(predictor=predictor, **common)


def schema_of(record: Mapping[str, Any]) -> Any:
    """Columns of a table, of a task's record; None for arrays.

    Raises:
        UserError: If the record is damaged.
    """
    if record.get("schema") is None:
        return None
    from trainables.tasks.schema import Schema

    return Schema.from_dict(record["schema"])


def fill_kept(predictor: nn.Module, values: Mapping[str, torch.Tensor]) -> None:
    """Copy kept values into a predictor; constants of format 1 by the names they have now.

    Raises:
        ValueError: If the values are those of another network.
    """
    wanted = predictor.values()  # type: ignore[operator]
    for old in FORMAT1_CONSTANTS:
        new = next((k for k in wanted if k.startswith("standardise.") and k.endswith(old)), "")
        if old in values and new:
            constant = values[old].reshape(wanted[new].shape)
            values = {k: v for k, v in values.items() if k != old} | {new: constant}
    fill(wanted, values)
