"""What `mlflow models serve` runs: MLflow copies this file beside a model and executes it there.

It loads the model from its recipe and weights, with the foldsweep that is installed.
"""

from pathlib import Path
from typing import Any

import numpy as np
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext

from analysis.models.own_code import own_variant
from foldsweep.errors import UserError
from trainables.keep.model import Answers, FittedModel


class ServedModel(PythonModel):
    """Raw pairs to probabilities, see `FittedModel.predict`."""

    def load_context(self, context: PythonModelContext) -> None:
        (folder,) = map(Path, context.artifacts.values())
        self.model = FittedModel.load(folder, own_variant=own_variant)

    def predict(
        self,
        context: PythonModelContext,
        model_input: np.ndarray,
        params: dict[str, Any] | None = None,
    ) -> dict[str, np.ndarray]:
        try:
            return named(self.model.predict(model_input))
        except UserError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from None


def named(answers: Answers) -> dict[str, np.ndarray]:
    """Answers as MLflow sends them."""
    return {name: array for name, array in vars(answers).items() if array is not None}


set_model(ServedModel())
