import numpy as np
import pandas as pd
import pytest

from tests.refusals import refused, said_as, text
from trainables.tasks.samples import Data
from trainables.tasks.table.reading import Arrays
from trainables.tasks.table.rows import given_arrays

RANDOM = np.random.default_rng(0)
N = 60
X = RANDOM.random((N, 3))
CLASSES = np.arange(N) % 3


def test_a_data_frame_and_a_series(churn):
    data = Data.of(churn.drop(columns="left"), churn["left"], holdout=0.25, name="churn")
    assert data.name == "churn"
    assert (len(data.train), len(data.test)) == (150, 50)
    assert data.schema.target == "left"
    assert data.schema.classes == ("no", "yes")
    assert data.origin == {}
    assert said_as("table-summary.classes", target="left", classes=2).search(data.said)
    why = text("targets.not-a-number") + text("assembly.kind-by-option", option="kind=")
    assert data.said.endswith(text("table-summary.task", task="classification", why=why))


def test_the_index_of_a_frame_does_not_count(churn):
    shuffled = churn.sample(frac=1, random_state=0)
    plain = shuffled.reset_index(drop=True)
    digests = {
        Data.of(frame.drop(columns="left"), frame["left"]).digest for frame in (shuffled, plain)
    }
    assert len(digests) == 1


def test_an_array_is_a_table():
    data = Data.of(X, CLASSES)
    assert data.schema.numeric == ("x0", "x1", "x2")
    assert data.schema.classes == (0, 1, 2)
    assert data.train.inputs["numeric"].shape == (48, 3)


def test_lists_are_arrays():
    data = Data.of(X.tolist(), CLASSES.tolist())
    assert data.digest == Data.of(X, CLASSES).digest


@pytest.mark.parametrize(
    ("shape", "name", "network"),
    [
        ((N, 3, 8, 8), "images", (3, 8, 8)),
        ((N, 8, 8, 3), "images", (3, 8, 8)),
        ((N, 7, 2), "x", (7, 2)),
    ],
)
def test_images_and_sequences(shape, name, network):
    data = Data.of(RANDOM.random(shape), CLASSES)
    assert data.train.inputs[name].shape == (48, *network)
    assert data.train.inputs[name].dtype == np.float32


def test_arrays_by_name():
    data = Data.of({"left": X, "tokens": CLASSES[:, None]}, CLASSES, kind="classification")
    assert data.train.inputs["left"].dtype == np.float32
    assert data.train.inputs["tokens"].dtype == np.int64
    assert data.train.targets["target"].dtype == np.int64
    assert data.schema.layout == "own"


def test_targets_by_name():
    data = Data.of({"a": X, "b": X}, {"kind": CLASSES, "size": X[:, 0]})
    assert list(data.train.targets) == ["kind", "size"]
    assert len(data.test) == 12
    why = text("assembly.several-targets", targets=2)
    assert text("table-summary.task", task="other", why=why) in data.said


def test_several_numbers_to_predict():
    data = Data.of(X, X[:, :2])
    assert data.train.targets["target"].shape == (48, 2)
    assert text("table-summary.numbers", target="target", numbers=2) in data.said


def test_a_column_of_shape_n_1_is_a_target():
    assert Data.of(X, CLASSES[:, None]).digest == Data.of(X, CLASSES).digest


def test_groups_and_times_as_values_and_as_columns(churn):
    frame = churn.drop(columns="left").assign(city=churn["city"].fillna("none"))
    by_name = Data.of(frame, churn["left"], groups="city")
    by_values = Data.of(frame.drop(columns="city"), churn["left"], groups=frame["city"])
    assert by_name.schema.group == "city"
    np.testing.assert_array_equal(by_name.train.groups, by_values.train.groups)
    late = Data.of(frame, churn["left"], time="since")
    place = late.schema.numeric.index("age")
    np.testing.assert_array_equal(late.test.inputs["numeric"][:, place], churn["age"][160:])


def test_test_rows_of_their_own():
    data = Data.of(X[:40], CLASSES[:40], test=(X[40:], CLASSES[40:]))
    assert (len(data.train), len(data.test)) == (40, 20)


def test_a_kind_that_is_asked_for():
    assert Data.of(X, CLASSES, kind="regression").schema.classes == ()
    assert Data.of(X, np.arange(N) % 11, kind="classification").schema.classes == (*range(11),)


@pytest.mark.parametrize(
    ("inputs", "target", "options", "kind", "values"),
    [
        (X, CLASSES[:50], {}, "rows.row-counts-differ", {"sizes": [50, 60]}),
        ({"a": X, "b": X[:50]}, CLASSES, {}, "rows.row-counts-differ", {"sizes": [50, 60]}),
        (
            X,
            CLASSES,
            {"groups": CLASSES[:3]},
            "rows.role-length-differs",
            {"role": "groups", "rows": 60, "values": 3},
        ),
        (
            X,
            CLASSES,
            {"groups": "g"},
            "rows.role-column-unknown",
            {"role": "groups", "column": "g"},
        ),
        (X, CLASSES, {"groups": X}, "rows.not-one-per-row", {"name": "groups"}),
        (X, CLASSES, {"groups": CLASSES, "time": CLASSES}, "rows.groups-and-time", {}),
        (X, np.zeros((N, 2, 2)), {}, "rows.not-one-per-row", {"name": "target"}),
        (
            X,
            X[:, :2],
            {"kind": "classification"},
            "assembly.several-target-columns",
            {"columns": 2},
        ),
        (X, CLASSES, {"holdout": 1.0}, "holdout.share-out-of-range", {"holdout": 1.0}),
        (X[:3], CLASSES[:3], {}, "holdout.too-few-rows", {"rows": 3}),
        (np.array([["a"]] * N), CLASSES, {}, "arrays.not-numbers", {"array": "x"}),
        (
            pd.DataFrame(X, columns=["a", "a", "b"]),
            CLASSES,
            {},
            "schema.column-named-twice",
            {"columns": "'a'"},
        ),
    ],
)
def test_what_cannot_be_data_is_refused(inputs, target, options, kind, values):
    with refused(kind, **values):
        Data.of(inputs, target, **options)


def test_classes_that_are_no_text_are_refused() -> None:
    classes = np.array(["a\ud800", "b"] * 10)
    with refused("rows.lone-surrogates", name="y"):
        given_arrays(Arrays(x=np.zeros((20, 2)), y=classes))
