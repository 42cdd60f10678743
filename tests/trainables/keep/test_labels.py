"""Predictions with class names and columns, as users read them."""

from dataclasses import replace

import numpy as np
import pytest

from trainables.keep.labels import as_columns, labelled
from trainables.keep.table import frame_of_inputs


@pytest.mark.parametrize("name", ["table classes", "estimator classes"])
def test_classes_go_by_their_names(name, case_of, model_of):
    model = model_of(name)
    said = model.predict(case_of(name).rows.inputs)
    given = labelled(model, said)
    assert list(given) == ["prediction", "probability_no", "probability_yes"]
    assert set(given["prediction"]) == {"no", "yes"}
    np.testing.assert_array_equal(given["prediction"] == "yes", said["answer"] == 1)
    np.testing.assert_array_equal(given["probability_yes"], said["probability"][:, 1])


def with_classes(model, classes):
    task = replace(model.variant.task, classes=classes)
    return replace(model, variant=replace(model.variant, task=task))


@pytest.mark.parametrize(
    ("classes", "answers"),
    [((3, 8), [8, 3]), ((False, True), [True, False]), ((1, "a"), ["a", "1"]), ((), [1, 0])],
)
def test_classes_keep_their_type_if_they_are_of_one(classes, answers, model_of):
    model = with_classes(model_of("table classes"), classes)
    said = {"answer": np.array([1, 0]), "probability": np.eye(2)}
    given = labelled(model, said)
    assert given["prediction"].tolist() == answers
    assert len(given) == (3 if classes else 2)


def test_numbers_are_predictions_and_the_rest_stays(case_of, model_of):
    one, two = model_of("table numbers"), model_of("two inputs")
    value = one.predict(case_of("table numbers").rows.inputs)["value"]
    np.testing.assert_array_equal(labelled(one, {"value": value})["prediction"], value)
    values = two.predict(case_of("two inputs").rows.inputs)["value"]
    columns = as_columns(labelled(two, {"value": values, "more": np.zeros((20, 1, 2))}))
    assert list(columns) == ["prediction_0", "prediction_1", "more_0_0", "more_0_1"]
    np.testing.assert_array_equal(columns["prediction_1"], values[:, 1])


def test_row_of_a_table_comes_back_in_the_user_s_words(case_of):
    case = case_of("table classes")
    frame = frame_of_inputs(case.data.schema, case.data.train.inputs)
    assert list(frame.columns) == ["age in years", "plan", "active", "since"]
    assert frame["active"].dtype == bool
    assert frame["since"].str.fullmatch(r"\d{4}-\d{2}-\d{2}").all()
    again = case.data.schema.inputs(frame)
    for name, array in case.data.train.inputs.items():
        np.testing.assert_array_equal(again[name], array)
