"""Metrics whose names end like a part of a loss are still metrics."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer

from search_spaces.loading import ANY_TASK
from trainables.models.perceptron import Perceptron, PerceptronConfig
from trainables.tasks.kinds import classification
from trainables.tasks.metrics import Metric
from trainables.tasks.samples import Data
from trainables.tasks.task import DataRequest, Task, Variant
from trainables.trial import Context, CrossValidation


def task(**values: object) -> Task:
    x, y = load_breast_cancer(return_X_y=True, as_frame=True)
    return classification("cancer", Data.of(x[:200], y[:200]), **values)


def by_fold(variant: Variant, config: object) -> dict[str, list[float]]:
    data = variant.task.load(DataRequest(seed=0))
    folds = variant.task.split.folds(data.train, target="target", num_folds=3, seed=0)
    trial = CrossValidation(variant, config, Context(data=data, folds=folds, seed=0), number=0)
    trial.advance(config.epochs)
    return trial.by_fold


@pytest.mark.parametrize("name", ["logistic", "hist_gradient_boosting", "mlp"])
def test_log_loss_is_measured(name: str) -> None:
    space = ANY_TASK[name](task(objective="log_loss"))
    config = space.complete(space.points[0].config, **({"epochs": 2} if name == "mlp" else {}))
    found = by_fold(space.variant, config)
    np.testing.assert_allclose(found["val_log_loss"], found["val_loss"], rtol=1e-4)


def test_a_row_metric_may_be_called_a_loss() -> None:
    def wrong(output, target):
        return output.argmax(-1) != target

    zero_one = Metric(of=wrong, better="lower", equal=0.01)
    own = task(metrics={"zero_one_loss": zero_one}, objective="zero_one_loss")
    variant = Variant(name="mlp", task=own, model=Perceptron, config=PerceptronConfig)
    found = by_fold(variant, PerceptronConfig(epochs=2))
    np.testing.assert_allclose(found["val_zero_one_loss"], 1 - np.array(found["val_accuracy"]))
    assert "train_zero_one_loss" in found
