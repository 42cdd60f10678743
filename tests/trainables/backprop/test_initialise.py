import math
from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tests.refusals import refused
from trainables.backprop.initialise import INITS, Init, initial_values


@given(num_inputs=st.integers(1, 30), num_outputs=st.integers(1, 30), seed=st.integers(0, 999))
def test_random_values_are_those_of_torchs_linear_layer(num_inputs, num_outputs, seed):
    torch.manual_seed(seed)
    weight, bias = initial_values("random", num_inputs, num_outputs)
    torch.manual_seed(seed)
    theirs = nn.Linear(num_inputs, num_outputs)
    torch.testing.assert_close(weight, theirs.weight.detach())
    torch.testing.assert_close(bias, theirs.bias.detach())


@pytest.mark.parametrize(("init", "variance"), [("he", 2 / 200), ("xavier", 2 / 500)])
def test_normal_values_have_their_variance_and_no_bias(init, variance):
    torch.manual_seed(0)
    weight, bias = initial_values(init, 200, 300)
    assert weight.shape == (300, 200)
    assert weight.mean().item() == pytest.approx(0, abs=3 * math.sqrt(variance / 60000))
    assert weight.var().item() == pytest.approx(variance, rel=0.03)
    assert (weight.abs() > 2 * math.sqrt(variance)).float().mean().item() == pytest.approx(
        0.0455, rel=0.1
    )
    assert not bias.any()


def test_zero_is_zero_everywhere():
    weight, bias = initial_values("zero", 3, 2)
    assert weight.shape == (2, 3)
    assert not weight.any()
    assert not bias.any()


def test_an_unknown_initialisation_is_refused_with_the_known_ones():
    assert set(INITS) == set(get_args(Init))
    known = "random or zero or he or xavier"
    with refused("backprop-names.unknown", what="init", known=known, name="h"):
        initial_values("h", 2, 2)
