"""Arguments that tasks, metrics and splits refuse when they are created."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from jaxtyping import config

from foldsweep.errors import UserError
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


def data(target: np.ndarray) -> Data:
    samples = Samples(
        inputs={"numeric": np.arange(40.0).reshape(20, 2)}, targets={"target": target}
    )
    return Data(name="some", train=samples, test=None)


CLASSES = np.arange(20) % 2


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"better": "Higher"}, "better of a metric must be higher or lower, but is 'Higher'"),
        ({"needs": "banana"}, "needs of a metric must be answer or probability or value"),
        ({"over": "row"}, "over of a metric must be rows or all"),
        ({"equal": -1.0}, "equal of a metric must be at least 0"),
        ({"of": 3}, "must be a function"),
    ],
)
def test_a_metric_that_cannot_be_meant_is_refused(values: dict[str, Any], match: str) -> None:
    with pytest.raises(UserError, match=match):
        Metric(**{"of": of, "better": "lower", "equal": 0.0, **values})


def test_a_metric_called_loss_would_hide_the_loss() -> None:
    own = Metric(of=of, better="lower", equal=0.0)
    with pytest.raises(UserError, match="a metric cannot be called 'loss'"):
        classification("some", data(CLASSES), metrics={"loss": own})


def test_a_metric_needs_what_the_task_predicts() -> None:
    own = Metric(of=of, better="lower", equal=0.0, over="all", needs="probability")
    with pytest.raises(UserError, match="metric own needs 'probability', but a regression"):
        regression("some", data(CLASSES * 1.5), metrics={"own": own})


def test_a_way_to_standardise_that_is_not_there() -> None:
    with pytest.raises(UserError, match="standardise 'numeric' must be whole or channels"):
        classification("some", data(CLASSES), standardise={"numeric": "banana"})


def test_a_split_that_is_not_there() -> None:
    with pytest.raises(UserError, match="a split is one of stratified, plain"):
        Split(kind="banana")


@pytest.mark.parametrize("name", ["svm", "hist_gradient_boosting"])
def test_a_regressor_of_one_value_takes_no_two(name: str) -> None:
    two = np.random.default_rng(0).normal(size=(20, 2))
    with pytest.raises(UserError, match="predicts one value, but task some has 2: choose"):
        estimator_variant(name, regression("some", data(two)))
