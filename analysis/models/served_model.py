"""Code that `mlflow models serve` runs: MLflow copies this file beside a model and executes it.

It loads the model from its recipe and learnt values, with the installed foldsweep.
"""

from pathlib import Path
from typing import Any

import numpy as np
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext

from analysis.models.variants import variant_of
from foldsweep.errors import UserError
from trainables.keep.labels import as_columns, labelled
from trainables.keep.model import KeptModel

Rows = np.ndarray
"""Input from MLflow: an array, arrays by name or a data frame. MLflow warns about a type hint for
all three, so the hint names the array only."""


class ServedModel(PythonModel):
    """MLflow model that maps raw rows to predictions, see `answers`."""

    def load_context(self, context: PythonModelContext) -> None:
        (folder,) = map(Path, context.artifacts.values())
        self.model = KeptModel.load(folder, variant_of=variant_of)

    def predict(
        self,
        context: PythonModelContext,
        model_input: Rows,
        params: dict[str, Any] | None = None,
    ) -> Any:
        try:
            return answers(self.model, model_input)
        except UserError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from None


def answers(model: KeptModel, inputs: Any) -> Any:
    """Predictions in the form that MLflow sends: arrays by name, or a data frame for a table.

    Raises:
        UserError: If `inputs` are not inputs of the model.
    """
    named = labelled(model, model.predict(inputs))
    if not model.is_table:
        return named
    import pandas as pd

    return pd.DataFrame(as_columns(named))


set_model(ServedModel())
