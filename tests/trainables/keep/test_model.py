"""What every variant's model must hold; a new row of the registry is tested without new code."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml

from foldsweep.errors import UserError
from tests.trainables.cases import recipe_of
from trainables.keep.fit import fit
from trainables.keep.model import RECIPE_FILE, WEIGHTS_FILE, FittedModel
from trainables.recipe import Recipe
from trainables.variants import CNN_DIGIT, CNN_DISTANCE, CNN_WS_AUX, MLP, VARIANTS


def no_own_variant(file, name):
    raise AssertionError(f"{name} in {file} is nobody's own")


def load(folder):
    return FittedModel.load(folder, own_variant=no_own_variant)


@pytest.fixture
def fitted(full_config, data_for):
    """Builds a trained model of a variant, and gives the pairs to test it on."""

    def build(variant, **values):
        data = data_for(variant)
        recipe = recipe_of(variant, full_config(variant, **values), data)
        return fit(recipe, variant, data), data.test

    return build


def answers(model, images):
    return {name: array for name, array in vars(model.predict(images)).items()}


def same(one, two):
    return one.keys() == two.keys() and all(np.array_equal(one[k], two[k]) for k in one)


def test_a_model_comes_back_from_its_folder(variant, fitted, tmp_path):
    model, test = fitted(variant)
    model.save(tmp_path)
    again = load(tmp_path)
    assert same(answers(again, test.images), answers(model, test.images))
    assert (again.variant, again.pair_shape) == (variant, test.images.shape[1:])
    assert sorted(f.name for f in tmp_path.iterdir()) == [RECIPE_FILE, WEIGHTS_FILE]


def test_answers_are_probabilities(variant, fitted):
    model, test = fitted(variant)
    said = model.predict(test.images)
    assert ((said.probability >= 0) & (said.probability <= 1)).all()
    np.testing.assert_array_equal(said.decision, said.probability > 0.5)
    digits = said.digit_probabilities
    assert (digits is not None) == variant.auxiliary
    if digits is not None:
        assert digits.shape == (len(test), 2, 10)
        np.testing.assert_allclose(digits.sum(2), 1, rtol=1e-5)


def test_an_answer_does_not_depend_on_the_others(variant, fitted):
    model, test = fitted(variant)
    together = model.predict(test.images).probability
    alone = [model.predict(test.images[i : i + 1]).probability[0] for i in range(len(test))]
    np.testing.assert_allclose(alone, together, rtol=1e-5)


def test_many_pairs_are_answered_in_parts(fitted):
    model, test = fitted(MLP)
    images = np.tile(test.images, (120, 1, 1, 1))
    many = model.predict(images).probability
    np.testing.assert_allclose(many, np.tile(many[: len(test)], 120), rtol=1e-5)


def test_images_may_be_bytes(fitted):
    model, test = fitted(CNN_WS_AUX)
    whole = test.images.astype(np.uint8)
    assert same(answers(model, whole), answers(model, whole.astype(np.float64)))


def test_a_logit_and_two_scores_mean_the_same(fitted):
    """For one unit the loss is about its sigmoid, for two about their softmax."""
    for units in (1, 2):
        model, test = fitted(MLP, outputs=units)
        classifier = model.classifier
        x = (torch.from_numpy(test.images) - classifier.mean) / classifier.std
        scores = classifier.network(x).comparison
        wanted = scores.sigmoid()[:, 0] if units == 1 else scores.softmax(1)[:, 1]
        np.testing.assert_allclose(model.predict(test.images).probability, wanted, rtol=1e-5)


def test_a_distance_decides_as_its_threshold_does(fitted):
    for loss in ("contrastive", "logistic"):
        model, test = fitted(CNN_DISTANCE, distance_loss=loss)
        classifier = model.classifier
        x = (torch.from_numpy(test.images) - classifier.mean) / classifier.std
        near = classifier.network(x).comparison[:, 0] > 0
        np.testing.assert_array_equal(model.predict(test.images).decision, near)


def test_names_are_compared_by_their_probabilities(fitted):
    model, test = fitted(CNN_DIGIT)
    said = model.predict(test.images)
    digits = said.digit_probabilities
    assert digits is not None
    joint = digits[:, 0, :, None] * digits[:, 1, None, :]
    left, right = np.indices((10, 10))
    np.testing.assert_allclose(said.probability, joint[:, left <= right].sum(1), rtol=1e-5)


# A folder that is not what it was --------------------------------------------------------------


@pytest.fixture
def saved(fitted, tmp_path):
    model, _ = fitted(MLP)
    model.save(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / RECIPE_FILE).unlink(), "recipe.yaml cannot be read"),
        (lambda folder: (folder / WEIGHTS_FILE).unlink(), "weights.safetensors cannot be read"),
        (
            lambda folder: (folder / WEIGHTS_FILE).write_bytes(b"\x80\x04."),
            "weights.safetensors cannot be read",
        ),
    ],
    ids=["no recipe", "no weights", "a pickle for weights"],
)
def test_a_damaged_folder_is_said(saved, damage, said):
    damage(saved)
    with pytest.raises(UserError, match=said):
        load(saved)


def test_weights_of_another_network_are_refused(saved):
    path = saved / RECIPE_FILE
    values = yaml.safe_load(path.read_text())
    values["config"]["hidden"] += 1
    path.write_text(yaml.safe_dump(values))
    with pytest.raises(UserError, match=r"must have the shape \(9,.*\), but has \(8,"):
        load(saved)


def test_an_unknown_variant_is_refused(saved):
    path = saved / RECIPE_FILE
    path.write_text(path.read_text().replace("variant: mlp\n", "variant: mlq\n"))
    with pytest.raises(UserError, match="unknown variant 'mlq': known are mlp, "):
        load(saved)


# Images that are none --------------------------------------------------------------------------


def broken(images, change):
    images = images.copy()
    change(images)
    return images


@pytest.mark.parametrize(
    ("of", "said"),
    [
        (lambda x: x[0], r"shape \(n, 2, 14, 14\), but have \(2, 14, 14\)"),
        (lambda x: x[:0], r"but have \(0, 2, 14, 14\)"),
        (lambda x: x[:, :, :13], r"but have \(10, 2, 13, 14\)"),
        (lambda x: x.astype(str), "must be numbers, but are <U32"),
        (lambda x: x > 9, "must be numbers, but are bool"),
        (lambda x: broken(x, lambda y: y.fill(np.nan)), "must be finite"),
        (lambda x: x / 255, "must be raw, from 0 to 255 and not all black, but .* 0 to 1$"),
        (lambda x: (x - x.mean()) / x.std(), r"but these are from -\d"),
        (lambda x: x * 2, "to 510$"),
    ],
)
def test_what_is_no_raw_image_is_refused(fitted, of, said):
    model, test = fitted(MLP)
    with pytest.raises(UserError, match=said):
        model.predict(of(test.images))


# A user's own variant ---------------------------------------------------------------------------


def test_the_file_of_a_user_s_own_variant_travels_along(small_config, data, tmp_path):
    """The code is copied as it is, and found again in the folder."""
    file = tmp_path / "mine.py"
    file.write_text("# my own\n")
    own = replace(MLP, name="mine")
    assert own.name not in VARIANTS
    recipe = recipe_of(own, small_config(MLP), data, space=str(file))
    model = fit(recipe, own, data)
    folder = tmp_path / "model"
    folder.mkdir()
    model.save(folder)
    file.unlink()
    asked = []

    def find(path, name):
        asked.append((path, name))
        return own

    again = FittedModel.load(folder, own_variant=find)
    assert asked == [(str(folder / "space.py"), "mine")]
    assert (folder / "space.py").read_text() == again.code == "# my own\n"
    assert Recipe.load(folder / RECIPE_FILE).space == str(file)
    assert same(answers(again, data.test.images), answers(model, data.test.images))


def test_weights_shared_by_name_are_kept_once(small_config, data, tmp_path):
    """Tied parameters have two names in a state dict, of which safetensors refuses one."""

    class Twice(torch.nn.Module):
        def __init__(self, config):
            super().__init__()
            self.one = MLP.model(config)
            self.two = self.one

        def forward(self, pair):
            return self.two(pair)

    own = replace(MLP, name="twice", model=Twice)
    (tmp_path / "mine.py").write_text("")
    recipe = recipe_of(own, small_config(MLP), data, space=str(tmp_path / "mine.py"))
    model = fit(recipe, own, data)
    model.save(tmp_path)
    again = FittedModel.load(tmp_path, own_variant=lambda file, name: own)
    assert same(answers(again, data.test.images), answers(model, data.test.images))
