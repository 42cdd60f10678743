"""Stand-alone files say what their original says."""

import re
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from foldsweep.errors import UserError
from tests.trainables.cases import recipe_of
from trainables.keep import formats
from trainables.keep.fit import fit
from trainables.keep.formats import OUTPUTS, SUFFIXES, TOLERANCE, write_standalone
from trainables.models.layers import Scores
from trainables.variants import CNN_DIGIT, CNN_WS_AUX, MLP, MLP_BACKPROP, VARIANTS

IN_SHORT = (CNN_WS_AUX, CNN_DIGIT, MLP_BACKPROP)
"""Variants with most of what networks here are made of; the others take a second each."""


@pytest.fixture
def written(full_config, data_for, tmp_path):
    """Writes a model of a variant; gives the model, the file and pairs to compare on."""

    def write(variant, kind, **values):
        data = data_for(variant)
        config = full_config(variant, epochs=2, **values)
        model = fit(recipe_of(variant, config, data), variant, data)
        path = tmp_path / f"model{SUFFIXES[kind]}"
        difference = write_standalone(model, path, kind, data.test.images)
        assert difference <= TOLERANCE
        assert list(tmp_path.iterdir()) == [path]
        return model, path, data.train.images

    return write


def check(model, images, given):
    """What a file said of these pairs is what the model says."""
    said = model.predict(images)
    np.testing.assert_allclose(given[0], said.probability, atol=TOLERANCE)
    assert len(given) == (1 if said.digit_probabilities is None else 2)
    if len(given) == 2:
        np.testing.assert_allclose(given[1], said.digit_probabilities, atol=TOLERANCE)


@pytest.mark.filterwarnings(r"ignore:`torch\.jit\.load` is deprecated:DeprecationWarning")
def test_torchscript_says_the_same(variant, written):
    model, path, images = written(variant, "torchscript")
    check(model, images, torch.jit.load(str(path))(torch.from_numpy(images)))


def in_short():
    """Every variant; most of them in the slow run only."""
    for variant in VARIANTS.values():
        slow = () if variant in IN_SHORT else pytest.mark.slow
        yield pytest.param(variant, id=variant.name, marks=slow)


@pytest.mark.parametrize("variant", list(in_short()))
def test_an_exported_program_says_the_same(variant, written):
    model, path, images = written(variant, "pt2")
    check(model, images, torch.export.load(path).module()(torch.from_numpy(images)))


@pytest.mark.parametrize("variant", list(in_short()))
def test_onnx_says_the_same_by_its_names(variant, written):
    model, path, images = written(variant, "onnx")
    session = onnxruntime.InferenceSession(str(path))
    given = session.run(None, {"images": images})
    check(model, images, given)
    assert [output.name for output in session.get_outputs()] == list(OUTPUTS[: len(given)])


def test_a_file_holds_no_test_pairs(written, data):
    """Programs keep the example that they were traced with."""
    _, path, _ = written(MLP, "pt2")
    assert data.test.images[5].tobytes() not in path.read_bytes()


# What cannot be written ------------------------------------------------------------------------


class Undecided(nn.Module):
    """Takes another path where a pair is bright."""

    def __init__(self, config):
        super().__init__()
        self.output = nn.Linear(2 * 14 * 14, 2)

    def forward(self, pair):
        scores = self.output(pair.flatten(1))
        return Scores(scores if pair[0].sum() > 0 else scores.flip(1))


class Lonely(nn.Module):
    """Counts the pairs."""

    def __init__(self, config):
        super().__init__()
        self.output = nn.Linear(2 * 14 * 14, 2)

    def forward(self, pair):
        return Scores(self.output(pair.flatten(1)) * int(pair.shape[0]))


class Special(nn.Module):
    """A function that ONNX lacks."""

    def __init__(self, config):
        super().__init__()
        self.output = nn.Linear(2 * 14 * 14, 2)

    def forward(self, pair):
        return Scores(torch.lgamma(self.output(pair.flatten(1)).exp() + 1))


@pytest.mark.parametrize(
    ("network", "kind", "said"),
    [
        (Undecided, "pt2", "cannot be written as pt2: "),
        (Lonely, "torchscript", "as torchscript differs from the original by"),
        (Special, "onnx", "cannot be written as onnx: .*lgamma"),
    ],
)
def test_what_a_format_cannot_express_is_said(network, kind, said, small_config, data, tmp_path):
    own = replace(MLP, name="own", model=network)
    model = fit(recipe_of(own, small_config(MLP), data), own, data)
    path = tmp_path / f"model{SUFFIXES[kind]}"
    path.write_text("what was there")
    with pytest.raises(UserError, match=said) as caught:
        write_standalone(model, path, kind, data.test.images)
    assert "\n" not in str(caught.value)
    assert [f.name for f in tmp_path.iterdir()] == [path.name]
    assert path.read_text() == "what was there"


def test_a_folder_that_is_not_there_is_said(small_config, data, tmp_path):
    model = fit(recipe_of(MLP, small_config(MLP), data), MLP, data)
    path = tmp_path / "missing" / "model.pt"
    with pytest.raises(UserError, match=f"{re.escape(str(path))} cannot be written: No such"):
        write_standalone(model, path, "torchscript", data.test.images)


def test_every_format_has_a_suffix_of_its_own():
    assert len(set(SUFFIXES.values())) == len(SUFFIXES) == 3
    assert formats.TOLERANCE < 1e-4
