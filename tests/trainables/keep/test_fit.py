"""A refitted model equals what a stack trains on all training rows."""

from dataclasses import replace

import numpy as np
import pytest

from tests.refusals import refused
from tests.trainables.keep.cases import CASES, NETWORKS, Case, recipe_of
from trainables.keep.fit import fit
from trainables.models.pairs.variants import CNN_DIGIT, CNN_WS_AUX
from trainables.seeds import Stream, derive_seed
from trainables.stack.stack import Member
from trainables.tasks.samples import joined
from trainables.trial import make_stack
from trainables.variants import VARIANTS

SMALL = {"epochs": 2, "batch_size": 9}


def predictions_of_a_stack(case):
    """Predictions of a stack that gets the same training by hand."""
    data, rows = case.data, case.rows
    both = replace(data, train=joined([data.train, rows]), test=None)
    member = Member(
        config=case.config,
        train=np.arange(len(data.train)),
        held_out=np.arange(len(data.train), len(data.train) + len(rows)),
        seed=derive_seed(0, Stream.MODEL),
    )
    stack = make_stack(case.variant, [member], both)
    if not hasattr(stack, "train"):
        stack.advance(stack.epochs)
        return stack.predictions()[0]
    while stack.epoch < stack.epochs:
        stack.train()
    return stack.predict()[0]


@pytest.mark.parametrize("name", CASES)
def test_model_predicts_as_the_stack_that_trained_it(name, case_of, model_of):
    case = case_of(name)
    wanted = predictions_of_a_stack(case)
    given = model_of(name).predict(case.rows.inputs)
    assert given.keys() == wanted.keys()
    for key, values in given.items():
        np.testing.assert_allclose(values, wanted[key], rtol=1e-4, atol=1e-6)
        if values.dtype.kind == "i":
            np.testing.assert_array_equal(values, wanted[key])


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_that_ships_predicts_as_its_stack(name, case_of, full_config):
    variant = VARIANTS[name]
    data = case_of(variant.task.name).data
    case = Case(variant=variant, config=full_config(variant), data=data)
    wanted = predictions_of_a_stack(case)
    given = case.fit().predict(data.test_rows.inputs)
    np.testing.assert_array_equal(given["answer"], wanted["answer"])
    np.testing.assert_allclose(given["probability"], wanted["probability"], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_same_recipe_gives_the_same_model(name, case_of, model_of):
    case = case_of(name)
    one, two = (m.predict(case.rows.inputs) for m in (model_of(name), case.fit()))
    assert all(np.array_equal(one[key], two[key]) for key in one)


@pytest.mark.parametrize("name", [*NETWORKS, "estimator classes"])
def test_another_seed_gives_another_model(name, case_of, model_of):
    case = case_of(name)
    one, two = (m.predict(case.rows.inputs) for m in (model_of(name), case.fit(seed=1)))
    key = "value" if "value" in one else "probability"
    assert (one[key] != two[key]).any()


@pytest.mark.parametrize("name", CASES)
def test_test_rows_play_no_part(name, case_of, model_of):
    case = case_of(name)
    if case.data.test is None:
        return
    backwards = case.data.test.take(slice(None, None, -1))
    other = fit(case.recipe, case.variant, replace(case.data, test=backwards))
    one, two = (m.predict(case.rows.inputs) for m in (model_of(name), other))
    assert all(np.array_equal(one[key], two[key]) for key in one)


@pytest.mark.parametrize(
    ("name", "epochs"), [("table classes", [1, 2]), ("estimator classes", [7])]
)
def test_every_epoch_is_told(name, epochs, case_of):
    case, told = case_of(name), []
    fit(case.recipe, case.variant, case.data, after_epoch=told.append)
    assert told == epochs


def test_names_are_compared_by_their_probabilities(case_of):
    data = case_of("larger_digit").data
    case = Case(variant=CNN_DIGIT, config=CNN_DIGIT.config.from_dict(SMALL), data=data)
    said = case.fit().predict(data.test_rows.inputs)
    digits = said["digit_probabilities"]
    joint = digits[:, 0, :, None] * digits[:, 1, None, :]
    left, right = np.indices((10, 10))
    in_order = joint[:, left <= right].sum(1)
    np.testing.assert_allclose(said["probability"][:, 1], in_order, rtol=1e-5)


def test_what_diverges_is_no_model(case_of):
    case = case_of("larger_digit")
    recipe = recipe_of(case.variant, replace(case.config, lr=1e30, epochs=20), case.data)
    with refused("averages.loss-not-finite"):
        fit(recipe, case.variant, case.data)


def test_missing_file_of_a_user_s_own_is_named(case_of, tmp_path):
    gone = str(tmp_path / "gone.py")
    with refused("keep-model.code-unreadable", path=gone, reason="No such file or directory"):
        case_of("disc").fit(space=gone)
    (tmp_path / "gone.py").write_bytes(b"\xff\xfe\x00")
    with refused("keep-model.code-unreadable", path=gone, reason="invalid start byte"):
        case_of("disc").fit(space=gone)


def test_configuration_of_another_variant_is_refused(case_of):
    case = case_of("larger_digit")
    with refused("config.field-unknown", unknown="channels"):
        case.fit(config={"channels": 3})
    assert CNN_WS_AUX.config is not case.variant.config
