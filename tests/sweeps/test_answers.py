import json

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import confusion_matrix

from sweeps.answers import BINS, MOST_POINTS, evaluation
from trainables.tasks.kinds import classification, regression
from trainables.tasks.samples import Data, Samples
from trainables.tasks.task import Task

ROWS = 400


@pytest.fixture(scope="module")
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def classes(rng: np.random.Generator) -> tuple[Task, list[Samples], list[dict[str, np.ndarray]]]:
    """A task of three classes, two rounds of test rows, and predictions for them."""
    x = rng.normal(size=(ROWS, 2))
    names = rng.permutation(["cat", "dog", "owl"] * 200)[:ROWS]
    task = classification("pets", Data.of(x, names))
    rounds = [
        Samples(inputs={"x": x[:50]}, targets={"target": rng.integers(0, 3, 50)}) for _ in range(2)
    ]
    said = []
    for _ in rounds:
        scores = rng.random((50, 3))
        said.append(
            {"answer": scores.argmax(-1), "probability": scores / scores.sum(-1, keepdims=True)}
        )
    return task, rounds, said


def test_confusion_is_that_of_scikit_learn_over_all_rounds(classes: tuple) -> None:
    task, rounds, said = classes
    kept = json.loads(json.dumps(evaluation(task, rounds, said)))
    target = np.concatenate([samples.targets["target"] for samples in rounds])
    answer = np.concatenate([one["answer"] for one in said])
    assert kept["confusion"] == confusion_matrix(target, answer, labels=range(3)).tolist()
    assert (kept["kind"], kept["rounds"]) == ("classification", 2)
    assert kept["classes"] == ["cat", "dog", "owl"]
    assert "points" not in kept
    assert "details" not in kept


def test_calibration_is_that_of_scikit_learn_over_all_classes(classes: tuple) -> None:
    task, rounds, said = classes
    curve = evaluation(task, rounds, said)["calibration"]
    target = np.concatenate([samples.targets["target"] for samples in rounds])
    probability = np.concatenate([one["probability"] for one in said])
    hits = np.eye(3)[target]
    observed, predicted = calibration_curve(hits.ravel(), probability.ravel(), n_bins=BINS)
    np.testing.assert_allclose(curve["observed"], observed)
    np.testing.assert_allclose(curve["predicted"], predicted)
    assert sum(curve["count"]) == 2 * 50 * 3


def test_a_certain_answer_is_in_the_last_bin(classes: tuple) -> None:
    task, rounds, _ = classes
    sure = [
        {"answer": s.targets["target"], "probability": np.eye(3)[s.targets["target"]]}
        for s in rounds
    ]
    curve = evaluation(task, rounds, sure)["calibration"]
    assert (curve["predicted"], curve["observed"]) == ([0, 1], [0, 1])
    assert curve["count"] == [200, 100]


def test_classes_without_probabilities_have_no_calibration(classes: tuple) -> None:
    """For example those of an estimator that returns none."""
    task, rounds, said = classes
    kept = evaluation(task, rounds, [{"answer": one["answer"]} for one in said])
    assert set(kept) == {"rounds", "kind", "classes", "confusion"}


@pytest.mark.parametrize("rows", [30, MOST_POINTS + 1, 3 * MOST_POINTS])
def test_a_regression_keeps_points_of_the_first_round(rng: np.random.Generator, rows: int) -> None:
    task = regression("heights", Data.of(rng.normal(size=(40, 1)), rng.normal(size=40)))
    target = np.sort(rng.normal(size=rows))
    rounds = [Samples(inputs={"x": np.zeros((rows, 1))}, targets={"target": target})] * 2
    said = [{"value": target + 1}, {"value": target + 2}]
    kept = json.loads(json.dumps(evaluation(task, rounds, said)))
    points = np.array(kept["points"])
    assert len(points) == min(rows, MOST_POINTS)
    np.testing.assert_allclose(points[:, 1] - points[:, 0], 1)
    assert points[0, 0] == target[0]
    assert points[-1, 0] == target[-1]
    assert set(kept) == {"rounds", "kind", "points"}


def test_several_values_have_no_points(rng: np.random.Generator) -> None:
    both = rng.normal(size=(40, 2))
    task = regression("both", Data.of(rng.normal(size=(40, 1)), both))
    rounds = [Samples(inputs={"x": np.zeros((40, 1))}, targets={"target": both})]
    assert set(evaluation(task, rounds, [{"value": both}])) == {"rounds", "kind"}
