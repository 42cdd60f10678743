"""Kept models: trained models that predict raw rows, stored as a recipe and learnt values.

Nothing in a model's folder is pickled. The folder holds code only if the task or variant is a
user's own: the file of that variant, as the user wrote it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from foldsweep.errors import UserError
from foldsweep.files import write_whole
from foldsweep.recipe import Recipe
from trainables.keep.ensemble import Ensemble, averaged_arrays, members_of
from trainables.keep.network import Predictor, kept_predictor, tensor_of
from trainables.keep.task import schema_of
from trainables.models.estimators.config import EstimatorConfig
from trainables.stack.outputs import concatenated
from trainables.tasks.samples import Samples
from trainables.tasks.shapes import RawInput, raw_inputs, shapes_of
from trainables.tasks.task import Output, Variant

RECIPE_FILE = "recipe.yaml"
WEIGHTS_FILE = "weights.safetensors"
ESTIMATOR_FILE = "estimator.skops"
CODE_FILE = "space.py"
"""File of a user's own variant, in the folder of a model that needs it."""
_BATCH = 500
"""Rows in one forward pass; bounds memory."""

VariantOf = Callable[[Recipe, Path | None], Variant]
"""Finds the variant of a recipe; the path is that of a user's own file."""


@dataclass(frozen=True, kw_only=True, eq=False)
class KeptModel:
    """A recipe's model after training, with everything that predictions need."""

    recipe: Recipe
    variant: Variant
    predictor: Predictor | Ensemble | None = None
    """The network, or the networks of an ensemble; None for estimators."""
    estimators: tuple[Any, ...] = ()
    """The fitted pipeline of scikit-learn, or the pipelines of an ensemble; empty for networks."""
    raw: Mapping[str, RawInput] = field(default_factory=dict)
    """Raw inputs, in order."""
    schema: Any = None
    """Columns of a table or layout of arrays, see `trainables.tasks.table.schema.Schema`; None
    if a program made the data."""
    code: str | None = None
    """Source code of the file that defines a user's own variant; None for built-in variants."""

    @property
    def size(self) -> int:
        """Number of models in an ensemble; 1 for a single model."""
        if isinstance(self.predictor, Ensemble):
            return len(self.predictor.members)
        return max(1, len(self.estimators))

    @property
    def is_table(self) -> bool:
        """Whether the model takes rows of a table, with named columns."""
        return self.schema is not None and self.schema.layout == "table"

    @property
    def classes(self) -> tuple[Any, ...]:
        """Names of the classes in order of their codes; empty if there are none."""
        return tuple(self.variant.task.classes)

    def predict(self, inputs: Any) -> dict[str, np.ndarray]:
        """Predictions of n rows.

        Args:
            inputs: Arrays by name, a single array if there is one input, or a data frame with the
                columns of the training table.

        Returns:
            Arrays (n, ...) by name, as named by the task's `predict`.

        Raises:
            UserError: If `inputs` are not inputs of the task.
        """
        checked = self.checked(inputs)
        if self.predictor is None:
            return self._estimated(checked)
        parts = [self.predictor.named(*batch) for batch in self._batches(checked)]
        return {name: torch.cat([part[name] for part in parts]).numpy() for name in parts[0]}

    def output(self, inputs: Any) -> Output:
        """Output of the network for n rows, which metrics over rows take.

        Raises:
            UserError: If `inputs` are not inputs of the task, or the model is not one network.
        """
        if not isinstance(self.predictor, Predictor):
            raise UserError.of("keep-model.not-one-network", variant=self.variant.name)
        batches = self._batches(self.checked(inputs))
        return concatenated([self.predictor.output(*batch) for batch in batches], axis=0)

    def checked(self, inputs: Any) -> dict[str, np.ndarray]:
        """Check raw inputs; return them by name, in the types of the training data.

        Raises:
            UserError: If there are no rows, or a name, shape or value does not suit the task.
        """
        if hasattr(inputs, "columns"):
            if not self.is_table:
                raise UserError.of("keep-model.table-for-arrays", wanted=self._wanted)
            _refuse_empty(len(inputs))
            named = self.schema.inputs(inputs)
        elif isinstance(inputs, Mapping):
            named = dict(inputs)
        elif len(self.raw) == 1:
            named = {next(iter(self.raw)): inputs}
        else:
            raise UserError.of("keep-model.arrays-without-names", wanted=self._wanted)
        names = ", ".join(self.raw)
        if absent := [name for name in self.raw if name not in named]:
            raise UserError.of("keep-model.input-missing", names=names, missing=absent[0])
        if unknown := [str(name) for name in named if name not in self.raw]:
            raise UserError.of("keep-model.input-unknown", names=names, unknown=unknown[0])
        sizes = {name: len(array) for name in self.raw if np.ndim(array := named[name]) > 0}
        for size in sizes.values():
            _refuse_empty(size)
        found = {name: raw.array(name, named[name]) for name, raw in self.raw.items()}
        if len(set(sizes.values())) > 1:
            raise UserError.of("keep-model.rows-unequal", sizes=sizes)
        if self.variant.task.check is not None:
            self.variant.task.check(found)
        return found

    @property
    def _wanted(self) -> str:
        shapes = {k: ", ".join(map(str, ("n", *raw.shape))) for k, raw in self.raw.items()}
        return ", ".join(f"{name} ({shape})" for name, shape in shapes.items())

    def _batches(self, checked: Mapping[str, np.ndarray]) -> list[tuple[Tensor, ...]]:
        tensors = [tensor_of(checked[name]) for name in self.raw]
        return list(zip(*(tensor.split(_BATCH) for tensor in tensors), strict=True))

    def _estimated(self, checked: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        from trainables.models.estimators.columns import columns_of  # scikit-learn, which is slow
        from trainables.models.estimators.predicting import predictions_of

        task = self.variant.task
        size = len(next(iter(checked.values())))
        samples = Samples(inputs=checked, targets={task.target: np.zeros(size)})
        columns = columns_of(samples)
        return averaged_arrays(
            [predictions_of(one, columns, classes=task.outputs) for one in self.estimators]
        )

    def save(self, folder: Path) -> None:
        """Write the model into an existing folder.

        Raises:
            UserError: If a file cannot be written, or the estimator cannot be stored as data.
        """
        comment = "Configuration of this model; its learned parameters are in the files beside it."
        self.recipe.save(folder / RECIPE_FILE, comment=comment)
        if self.code is not None:
            write_whole(folder / CODE_FILE, self.code)
        if self.predictor is not None:
            write_whole(folder / WEIGHTS_FILE, save(self.predictor.values()))
        else:
            self.save_estimators(folder / ESTIMATOR_FILE)

    def save_estimators(self, path: Path) -> None:
        """Write the fitted pipeline, or a list of pipelines, to a skops file.

        Raises:
            UserError: If the file cannot be written, or the model is a network.
        """
        from trainables.keep import estimator  # scikit-learn, which takes seconds

        if not self.estimators:
            raise UserError.of("keep-model.network-for-skops", variant=self.variant.name)
        kept = self.estimators[0] if self.size == 1 else list(self.estimators)
        own = _types_of(kept) if self.code is not None else ()
        estimator.save(kept, path, trusted=own)

    @classmethod
    def load(cls, folder: Path, *, variant_of: VariantOf) -> "KeptModel":
        """Read a model that `save` wrote; only the file of a user's own variant is executed.

        Args:
            folder: Folder of the model.
            variant_of: Finds the recipe's variant, in the user's file in the folder if it has one.

        Raises:
            UserError: If the folder holds no such model, or the model is damaged.
        """
        recipe = Recipe.load(folder / RECIPE_FILE)
        code = None
        if recipe.space.endswith(".py"):
            variant = variant_of(recipe, folder / CODE_FILE)
            code = code_of(folder / CODE_FILE)
        else:
            variant = variant_of(recipe, None)
        config = variant.config.from_dict(recipe.config)
        raw, schema = raw_inputs(recipe.record, variant.task), schema_of(recipe.record)
        predictor: Predictor | Ensemble | None = None
        estimators: tuple[Any, ...] = ()
        if isinstance(config, EstimatorConfig):
            estimators = load_estimators(folder / ESTIMATOR_FILE, own=code is not None)
        else:
            path = folder / WEIGHTS_FILE
            shapes = shapes_of(recipe.record, variant.task, schema)
            rows = {name: of.shape for name, of in raw.items()}
            try:
                kept = load_file(path)
                predictors = [
                    kept_predictor(variant, config, shapes, rows, learnt)
                    for learnt in members_of(kept) or [kept]
                ]
                predictor = predictors[0] if len(predictors) == 1 else Ensemble(predictors)
            except (OSError, SafetensorError, ValueError) as error:
                raise UserError.of(
                    "keep-model.weights-unreadable", path=path, reason=error
                ) from None
        return cls(
            recipe=recipe,
            variant=variant,
            predictor=predictor,
            estimators=estimators,
            raw=raw,
            schema=schema,
            code=code,
        )


def load_estimators(path: Path, *, own: bool) -> tuple[Any, ...]:
    """Read the pipeline or pipelines that `save_estimators` wrote.

    Args:
        path: The file.
        own: Whether the model runs a user's own code anyway, so that all types of the file are
            trusted.

    Raises:
        UserError: If the file cannot be read, is damaged or has types that are not trusted.
    """
    from trainables.keep import estimator  # scikit-learn, which takes seconds

    trusted: list[str] = []
    if own and path.is_file():
        import zipfile

        import skops.io

        try:
            trusted = skops.io.get_untrusted_types(file=path)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            trusted = []  # the file is damaged, and `estimator.load` raises
    kept = estimator.load(path, trusted=trusted)
    return tuple(kept) if isinstance(kept, list) else (kept,)


def code_of(path: Path) -> str:
    """Source code of a user's own file.

    Raises:
        UserError: If the file cannot be read.
    """
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error.reason
        raise UserError.of("keep-model.code-unreadable", path=path, reason=reason) from None


def _types_of(model: Any) -> list[str]:
    """Types of a user's own estimator that skops does not trust.

    Empty if skops cannot write the estimator; saving then raises.
    """
    import skops.io
    from skops.io.exceptions import UnsupportedTypeException

    try:
        return skops.io.get_untrusted_types(data=skops.io.dumps(model))
    except (UnsupportedTypeException, TypeError, AttributeError):
        return []


def _refuse_empty(rows: int) -> None:
    if rows == 0:
        raise UserError.of("keep-model.no-rows")
