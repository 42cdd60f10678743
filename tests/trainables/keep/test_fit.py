"""What is trained once more is the network that a stack trains, on all training pairs."""

import re
from dataclasses import replace

import numpy as np
import pytest

from foldsweep.errors import UserError
from tests.trainables.cases import recipe_of
from trainables.keep.fit import fit
from trainables.seeds import Stream, derive_seed
from trainables.stack.stack import FoldStack, Member
from trainables.variants import CNN_WS_AUX, MLP


def answers_of_a_stack(variant, config, data):
    """The same training by hand, answered by the stack itself."""
    joined = replace(
        data.train,
        images=np.concatenate([data.train.images, data.test.images]),
        classes=np.concatenate([data.train.classes, data.test.classes]),
        target=np.concatenate([data.train.target, data.test.target]),
    )
    member = Member(
        config=config,
        train=np.arange(len(data.train)),
        held_out=np.arange(len(data.train), len(joined)),
        seed=derive_seed(0, Stream.MODEL),
    )
    stack = FoldStack(variant.model, [member], joined)
    while stack.epoch < stack.epochs:
        stack.train()
    return stack.predict()[0]


def test_the_model_answers_as_the_stack_that_trained_it(variant, full_config, data_for):
    config, data = full_config(variant), data_for(variant)
    model = fit(recipe_of(variant, config, data), variant, data)
    said = model.predict(data.test.images)
    decision = said.decision
    if variant.names_only:  # a stack goes by the likeliest names only
        left, right = said.digit_probabilities.argmax(2).T
        decision = left <= right
    np.testing.assert_array_equal(decision, answers_of_a_stack(variant, config, data))


def test_the_same_recipe_gives_the_same_model(family, full_config, data):
    recipe = recipe_of(family, full_config(family), data)
    one, two = (fit(recipe, family, data).predict(data.test.images) for _ in range(2))
    np.testing.assert_array_equal(one.probability, two.probability)


def test_another_seed_gives_another_model(small_config, data):
    recipe = recipe_of(MLP, small_config(MLP), data)
    one = fit(recipe, MLP, data).predict(data.test.images)
    two = fit(replace(recipe, seed=1), MLP, data).predict(data.test.images)
    assert (one.probability != two.probability).any()


def test_test_pairs_play_no_part(small_config, data):
    recipe = recipe_of(MLP, small_config(MLP), data)
    other = replace(data, test=replace(data.test, images=data.test.images[::-1].copy()))
    one, two = (fit(recipe, MLP, d).predict(data.test.images) for d in (data, other))
    np.testing.assert_array_equal(one.probability, two.probability)


def test_every_epoch_is_told(small_config, data):
    told: list[int] = []
    recipe = recipe_of(CNN_WS_AUX, small_config(CNN_WS_AUX), data)
    fit(recipe, CNN_WS_AUX, data, after_epoch=told.append)
    assert told == [1, 2, 3]


def test_what_diverges_is_no_model(small_config, data):
    recipe = recipe_of(MLP, small_config(MLP, lr=1e30, epochs=20), data)
    with pytest.raises(UserError, match=r"infinite or NaN in epoch \d+; nothing to report"):
        fit(recipe, MLP, data)


def test_a_missing_file_of_a_user_s_own_is_said(small_config, data, tmp_path):
    gone = str(tmp_path / "gone.py")
    recipe = recipe_of(MLP, small_config(MLP), data, space=gone)
    with pytest.raises(UserError, match=rf"space file {re.escape(gone)} cannot be read: No such"):
        fit(recipe, MLP, data)
