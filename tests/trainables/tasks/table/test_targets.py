import numpy as np
import pandas as pd
import pytest

from tests.refusals import refused, said_as, text
from trainables.tasks.table.targets import (
    class_codes,
    class_labels,
    counted,
    kind_of,
    refuse_constant,
    target_values,
)


def series(values):
    return pd.Series(values, name="y")


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["a", "b"] * 20, "classification"),
        ([True, False] * 20, "classification"),
        ([0, 1] * 20, "classification"),
        ([0.0, 1.0] * 20, "classification"),
        ([-1, 1], "classification"),
        (list(range(20)) * 10, "classification"),
        (list(range(21)) * 10, "regression"),
        (list(range(10)) * 9, "regression"),
        ([0.5, 1.5] * 20, "regression"),
        (list(range(40)), "regression"),
    ],
)
def test_kind_of_a_target(values, kind):
    found, why = kind_of(series(values), None)
    assert found == kind
    reasons = ("targets.not-a-number", "targets.fractions", "targets.whole-numbers")
    assert any(said_as(reason).fullmatch(why) for reason in reasons)


def test_a_kind_that_is_asked_for_overrules():
    requested = text("targets.kind-requested")
    assert kind_of(series([0, 1] * 20), "regression") == ("regression", requested)
    assert kind_of(series([0.5, 1.5] * 20), "classification")[0] == "classification"
    with refused("targets.regression-of-words", target="y", values="'a', 'b'"):
        kind_of(series(["a", "b"]), "regression")


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        (["b", "a"], ("a", "b")),
        ([2, 0], (0, 2)),
        ([1.0, 0.0], (0.0, 1.0)),
        ([True, False], (False, True)),
        (["a", 3, 1], (1, 3, "a")),
    ],
)
def test_labels_are_sorted_plain_values(values, labels):
    found = class_labels(pd.Series(values * 3, name="y"))
    assert found == labels
    assert [type(label) for label in found] == [type(label) for label in labels]


def test_codes_are_places_among_the_labels():
    assert class_codes(series(["b", "a", "b"]), ("a", "b")).tolist() == [1, 0, 1]
    assert class_codes(series([1.0, 0.0]), (0, 1)).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("values", "kind", "named"),
    [
        (["a"] * 4, "targets.one-class", {"label": "a"}),
        (["a", "b", "c"], "targets.too-many-classes", {"classes": 3, "rows": 3}),
        ([pd.Timestamp("2020-01-01")] * 4, "targets.value-type-unusable", {"target": "y"}),
    ],
)
def test_labels_that_cannot_be_learned_are_refused(values, kind, named):
    with refused(kind, **named):
        class_labels(series(values))


def test_missing_targets_are_refused():
    with refused("targets.values-missing", target="y", missing=2, rows=4, row=2):
        kind_of(series(["a", None, "b", None]), None)


def test_a_class_of_no_training_row_is_refused():
    why = text("targets.class-unknown", known="'a', 'b'")
    with refused("columns.bad-value", column="y", value="c", row=2, why=why):
        class_codes(series(["a", "c"]), ("a", "b"))


def test_a_number_to_predict_must_be_finite_and_vary():
    with refused("columns.bad-value", why=text("columns.too-large", most=1e30)):
        target_values(series([1.0, np.inf]))
    with refused("targets.one-number", target="y", value=2.0):
        refuse_constant(np.array([2.0, 2.0]), "y")


def test_counts_of_classes():
    assert counted(np.array([0, 1, 1]), ("no", "yes")) == "no 1, yes 2"
    assert counted(np.arange(20), tuple(range(20))).endswith("9 1, 10 more")
