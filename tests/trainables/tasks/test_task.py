"""Arguments that tasks, metrics and splits refuse when they are created."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from jaxtyping import config

from tests.refusals import refused
from trainables.models.estimators.catalogue import estimator_variant
from trainables.tasks.kinds import classification, regression
from trainables.tasks.metrics import Metric
from trainables.tasks.samples import Data, Samples
from trainables.tasks.splits import Split


@pytest.fixture(autouse=True)
def _as_users_run_it() -> Iterator[None]:
    """Disable the check of annotations, which runs in tests but not for users."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)


def of(target: Any, prediction: Any) -> float:
    return 0.0


def metric(**values: Any) -> Metric:
    return Metric(**{"of": of, "better": "lower", "equal": 0.0, **values})


def data(target: np.ndarray) -> Data:
    samples = Samples(
        inputs={"numeric": np.arange(40.0).reshape(20, 2)}, targets={"target": target}
    )
    return Data(name="some", train=samples, test=None)


CLASSES = np.arange(20) % 2


@pytest.mark.parametrize(
    ("field", "value", "known"),
    [
        ("better", "Higher", "higher or lower"),
        ("needs", "banana", "answer or probability or value"),
        ("over", "row", "rows or all"),
    ],
)
def test_a_choice_of_a_metric_that_is_not_there(field: str, value: str, known: str) -> None:
    with refused("metrics.choice-unknown", name=field, known=known, value=value):
        metric(**{field: value})


def test_a_metric_that_cannot_be_meant_is_refused() -> None:
    with refused("metrics.equal-out-of-range", equal=-1.0):
        metric(equal=-1.0)
    with refused("metrics.of-not-a-function", value=3):
        metric(of=3)


def test_a_metric_called_loss_would_hide_the_loss() -> None:
    with refused("task.metric-name-invalid", metric="loss"):
        classification("some", data(CLASSES), metrics={"loss": metric()})


def test_a_metric_needs_what_the_task_predicts() -> None:
    own = metric(over="all", needs="probability")
    with refused("task.prediction-missing", metric="own", needs="probability", type="regression"):
        regression("some", data(CLASSES * 1.5), metrics={"own": own})


def test_a_way_to_standardise_that_is_not_there() -> None:
    with refused("task.standardise-unknown", input="numeric", value="banana"):
        classification("some", data(CLASSES), standardise={"numeric": "banana"})


def test_a_split_that_is_not_there() -> None:
    with refused("splits.split-unknown", split="banana"):
        Split(kind="banana")


@pytest.mark.parametrize("name", ["svm", "hist_gradient_boosting"])
def test_a_regressor_of_one_value_takes_no_two(name: str) -> None:
    two = np.random.default_rng(0).normal(size=(20, 2))
    with refused("estimator-catalogue.one-value-only", estimator=name, task="some", outputs=2):
        estimator_variant(name, regression("some", data(two)))
