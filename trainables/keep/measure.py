"""Metrics of a kept model on given rows, or on resamples of them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int

from foldsweep.errors import UserError
from trainables.keep.model import KeptModel
from trainables.keep.network import Predictor, as_trained, tensor_of
from trainables.tasks.metrics import Metric
from trainables.tasks.samples import Samples
from trainables.tasks.task import Output, Variant

ACCURACY = "accuracy"
_LEAST = np.finfo(np.float64).tiny
"""Probability that replaces 0, whose logarithm is not finite."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """A metric, and the values of n rows that it is computed from."""

    metric: Metric
    rows: Float64[np.ndarray, " n"] | None = None
    """Values by row; None for a metric over all rows."""
    target: np.ndarray | None = None
    """Targets for a metric over all rows; None for others."""
    prediction: np.ndarray | None = None
    """Predictions that a metric over all rows takes; None for others."""

    def __len__(self) -> int:
        return len(self.target if self.rows is None else self.rows)  # type: ignore[arg-type]

    def value(self, places: Int[np.ndarray, " r"] | slice = slice(None)) -> float:
        """The metric over all rows, or over the rows at `places`.

        Raises:
            UserError: If the metric is not defined on the rows, such as ROC AUC of one class.
        """
        if self.rows is not None:
            return float(self.rows[places].mean())
        assert self.target is not None
        assert self.prediction is not None
        return float(self.metric.of(self.target[places], self.prediction[places]))

    @property
    def right(self) -> Bool[np.ndarray, " n"]:
        """Which rows have the value 1, for a metric that is 0 or 1 for each row."""
        assert self.rows is not None
        return self.rows == 1


def measured(model: KeptModel, samples: Samples, name: str, metric: Metric) -> Measured:
    """A model's metric on rows of the same kind as its training rows.

    Args:
        model: The model.
        samples: Rows with targets.
        name: Name of the metric.
        metric: A metric of the model's task, or of a similar task.

    Raises:
        UserError: If the metric does not apply to the model's predictions.
    """
    variant = model.variant
    if metric.over == "rows" and isinstance(model.predictor, Predictor):
        rows = _by_row(model.output(samples.inputs), samples, name, metric, variant)
        return Measured(metric=metric, rows=rows)
    return of_predictions(model.predict(samples.inputs), samples, name, metric, variant)


def of_predictions(
    predictions: Mapping[str, np.ndarray],
    samples: Samples,
    name: str,
    metric: Metric,
    variant: Variant,
) -> Measured:
    """A metric of predictions, for estimators and ensembles, which have no network output.

    Args:
        predictions: Predictions of the rows by name.
        samples: The rows, with targets.
        name: Name of the metric.
        metric: The metric.
        variant: Variant that made the predictions.

    Raises:
        UserError: If the metric does not apply to the predictions.
    """
    target = samples.targets[variant.task.target]
    if metric.over == "all":
        if metric.needs not in predictions:
            raise UserError.of(
                "keep-measure.prediction-missing",
                metric=name,
                needs=metric.needs,
                variant=variant.name,
                given=", ".join(predictions),
            )
        return Measured(metric=metric, target=target, prediction=predictions[metric.needs])
    if name == ACCURACY:
        return Measured(metric=metric, rows=(predictions["answer"] == target).astype(float))
    output = _output_of(predictions, variant)
    return Measured(metric=metric, rows=_by_row(output, samples, name, metric, variant))


def _by_row(
    output: Output, samples: Samples, name: str, metric: Metric, variant: Variant
) -> Float64[np.ndarray, " n"]:
    """Values of a metric over rows, which takes the output of a network."""
    targets = {k: as_trained(tensor_of(array)) for k, array in samples.targets.items()}
    target = next(iter(targets.values())) if len(targets) == 1 else targets
    values = metric.of(output, target)
    if values is None:
        raise UserError.of("keep-measure.metric-does-not-apply", metric=name, variant=variant.name)
    return values.reshape(len(samples)).double().numpy()


def _output_of(predictions: Mapping[str, np.ndarray], variant: Variant) -> Output:
    """An output that a network with these predictions would return."""
    if "value" in predictions:
        return tensor_of(predictions["value"])
    if "probability" not in predictions:
        raise UserError.of("keep-measure.probabilities-missing", variant=variant.name)
    return torch.from_numpy(np.log(np.maximum(predictions["probability"], _LEAST)))
