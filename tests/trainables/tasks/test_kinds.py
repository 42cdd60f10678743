import numpy as np
import pandas as pd
import pytest
import torch

from tests.refusals import refused
from trainables.tasks.kinds import classification, default_split, regression
from trainables.tasks.metrics import Metric
from trainables.tasks.samples import Data, Samples
from trainables.tasks.splits import Split

N = 60
RANDOM = np.random.default_rng(0)
X = RANDOM.random((N, 3))
CLASSES = np.arange(N) % 3
COUNTS = np.arange(N) // 2


def test_a_classification_of_a_table(churn):
    data = Data.of(churn.drop(columns="left"), churn["left"])
    task = classification("churn", data)
    assert (task.kind, task.outputs, task.classes) == ("classification", 2, ("no", "yes"))
    assert task.objective == "accuracy"
    assert task.split == Split(kind="stratified")
    assert task.leading_axes
    statistics = task.statistics(task.data.train)
    assert statistics["class_weights"].shape == (2,)


def test_a_regression_of_a_table():
    data = Data.of(X, X[:, 0] * 50)
    task = regression("sizes", data)
    assert (task.kind, task.outputs, task.classes) == ("regression", 1, ())
    assert list(task.metrics) == ["r2", "rmse", "mae"]
    assert task.split == Split(kind="plain", classes=False)
    std = data.train.targets["target"].std()
    assert task.metrics["rmse"].equal == pytest.approx(0.01 * std)
    output = torch.zeros(4, 1)
    known = {name: torch.tensor([v]) for name, v in task.statistics(data.train).items()}
    assert set(task.predicts_with) == set(known)
    value = task.predict(output, **known)["value"]
    torch.testing.assert_close(value, torch.full((4,), data.train.targets["target"].mean()))


def test_a_regression_of_several_numbers():
    task = regression("t", Data.of(X, X[:, :2] + 1))
    assert task.outputs == 2
    values = task.statistics(task.data.train)
    loss = task.loss(
        torch.zeros(5, 2),
        torch.from_numpy(task.data.train.targets["target"][:5]),
        **{name: torch.as_tensor(value)[None] for name, value in values.items()},
    )
    assert loss.shape == (5,)


def test_whole_numbers_as_either_kind():
    """`Data` guesses the kind of the target; the task decides."""
    few = Data.of(X, CLASSES * 10 + 5)
    assert few.schema.classes == (5, 15, 25)
    task = regression("t", few)
    assert task.data.schema.classes == ()
    assert sorted(set(task.data.train.targets["target"])) == [5.0, 15.0, 25.0]
    many = Data.of(RANDOM.random((500, 3)), np.arange(500) % 25)
    assert many.schema.classes == ()
    task = classification("t", many)
    assert task.outputs == 25
    assert task.data.train.targets["target"].dtype == np.int64
    assert task.data.schema.classes == (*range(25),)


def test_text_is_no_regression():
    with refused("relabel.target-of-classes", classes="'a', 'b'"):
        regression("t", Data.of(X, ["a", "b"] * 30))


def samples(target):
    return Samples(inputs={"a": X.astype(np.float32)}, targets={"y": target})


def test_samples_of_ones_own():
    data = Data(name="own", train=samples(CLASSES), test=None)
    task = classification("t", data)
    assert (task.target, task.classes) == ("y", (0, 1, 2))
    np.testing.assert_array_equal(task.data.train.targets["y"], CLASSES)
    assert task.standardise == {"a": "columns"}
    named = classification("t", data, classes=("x", "y", "z"))
    assert named.classes == ("x", "y", "z")
    assert regression("t", data).outputs == 1


def test_codes_with_gaps_are_labels():
    data = Data(name="own", train=samples(CLASSES * 2 - 1), test=None)
    task = classification("t", data)
    assert task.classes == (-1, 1, 3)
    np.testing.assert_array_equal(task.data.train.targets["y"], CLASSES)


def test_a_class_that_training_rows_lack_is_refused():
    data = Data(name="own", train=samples(CLASSES), test=samples(CLASSES + 1))
    with refused("relabel.classes-in-test-rows-only", classes="3"):
        classification("t", data)


def test_what_is_no_target_of_a_kind_is_refused():
    with refused("relabel.several-classes-per-row", target="y", shape=X.shape):
        classification("t", Data(name="own", train=samples(X), test=None))
    with refused("relabel.one-class-only", target="y", label=0):
        classification("t", Data(name="own", train=samples(CLASSES * 0), test=None))
    words = Data(name="own", train=samples(np.array(["a", "b"] * 30)), test=None)
    with refused("relabel.target-not-numbers", target="y"):
        regression("t", words)
    assert classification("t", words).classes == ("a", "b")
    with refused("relabel.names-miscounted", named=2, classes="0, 1, 2"):
        classification("t", Data.of(X, CLASSES), classes=("a", "b"))


def test_data_that_is_a_function():
    def load(request):
        return Data.of(X, CLASSES, seed=request.seed)

    task = classification("t", load, classes=("a", "b", "c"))
    assert task.outputs == 3
    assert task.split.kind == "stratified"
    with refused("kinds.classes-unnamed", task="t"):
        classification("t", load)
    assert regression("t", load, outputs=2).outputs == 2
    assert regression("t", load).metrics["mae"].equal == 0


def test_metrics_and_objective():
    data = Data.of(X, CLASSES)
    task = classification("t", data, objective="val_f1_macro", metrics=["matthews"])
    assert task.objective == "f1_macro"
    assert list(task.metrics) == ["accuracy", "log_loss", "f1_macro", "matthews"]
    with refused("scores.objective-unknown", objective="f2"):
        classification("t", data, objective="f2")


def test_metrics_of_ones_own():
    by_rows = Metric(of=lambda output, target: output[:, 0], better="lower", equal=0.1)
    over_all = Metric(of=lambda target, answer: 1.0, better="higher", equal=0.1, over="all")
    data = Data.of(X, CLASSES)
    task = classification("t", data, objective="mine", metrics={"mine": over_all})
    assert task.objective == "mine"
    assert task.leading_axes
    assert not classification("t", data, metrics={"mine": by_rows}).leading_axes
    assert not classification("t", data, loss=torch.nn.functional.cross_entropy).leading_axes


def test_splits_of_the_data():
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    assert classification("t", Data.of(frame, CLASSES, time=COUNTS)).split.kind == "time"
    grouped = classification("t", Data.of(frame, CLASSES, groups=COUNTS)).split
    assert grouped == Split(kind="grouped")
    numbers = Data.of(frame, X[:, 0], groups=COUNTS)
    assert regression("t", numbers).split == Split(kind="grouped", classes=False)
    assert default_split(numbers, classes=False, repeats=3).repeats == 3


def test_splits_of_ones_own():
    data = Data.of(X, CLASSES)
    assert classification("t", data, split=Split(kind="plain")).split.kind == "plain"

    def halves(rows, num_folds, seed):
        return [(np.arange(20), np.arange(20, 40)), (np.arange(20, 40), np.arange(20))]

    assert classification("t", data, split=halves).split.kind == "own"


def test_one_of_several_targets_must_be_named():
    data = Data.of({"a": X}, {"kind": CLASSES, "size": X[:, 0]})
    with refused("kinds.target-unnamed", targets="kind, size"):
        classification("t", data)
    task = classification("t", data, target="kind", loss=lambda output, target: output)
    assert task.target == "kind"
    assert task.outputs == 3
    assert task.data.train.targets["size"].dtype == np.float32


def test_images_are_standardised_by_channel_and_whole_numbers_are_not():
    images = classification("t", Data.of(RANDOM.random((N, 3, 8, 8)), CLASSES))
    assert images.standardise == {"images": "channels"}
    named = {"tokens": CLASSES[:, None], "x": RANDOM.random((N, 5, 2))}
    assert classification("t", Data.of(named, CLASSES)).standardise == {"x": "whole"}
    assert classification("t", Data.of(X, CLASSES), standardise={}).encode is None
