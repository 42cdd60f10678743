import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.trainables.backprop.reference import (
    TORCHS_ACTIVATIONS,
    assert_close,
    member_axes,
    randn,
    seeds,
)
from trainables.backprop.activations import ACTIVATIONS, LeakyReLU, ReLU


@pytest.mark.parametrize("name", ACTIVATIONS)
@given(members=member_axes, n=st.integers(1, 4), f=st.integers(1, 4), seed=seeds)
def test_activations_and_their_gradients_are_torchs(name, members, n, f, seed):
    torch.manual_seed(seed)
    x, grad = 3 * randn(*members, n, f), randn(*members, n, f)
    ours, theirs = ACTIVATIONS[name](), TORCHS_ACTIVATIONS[name]()
    leaf = x.clone().requires_grad_()
    expected = theirs(leaf)
    expected.backward(grad)
    assert_close(ours.forward(x), expected)
    assert_close(ours.backward(grad), leaf.grad)


@given(slope=st.floats(0, 1), seed=seeds)
def test_a_leaky_relu_takes_its_slope_where_the_input_is_not_positive(slope, seed):
    torch.manual_seed(seed)
    x = torch.cat([randn(2, 3), torch.zeros(1, 3)])
    layer = LeakyReLU(slope)
    factor = torch.where(x > 0, 1.0, torch.tensor(slope, dtype=x.dtype))
    assert_close(layer.forward(x), x * factor)
    assert_close(layer.backward(torch.ones_like(x)), factor)


def test_a_relu_stops_the_gradient_at_its_kink():
    layer = ReLU()
    layer.forward(torch.tensor([[-1.0, 0.0, 2.0]]))
    assert layer.backward(torch.full((1, 3), 7.0)).tolist() == [[0.0, 0.0, 7.0]]


def test_a_softmax_of_large_scores_is_finite():
    y = ACTIVATIONS["softmax"]().forward(torch.tensor([[1000.0, 0.0, 1000.0]]))
    assert y.tolist() == [[0.5, 0.0, 0.5]]


@pytest.mark.parametrize("slope", [-0.1, 1.5])
def test_a_slope_out_of_range_is_refused(slope):
    with pytest.raises(ValueError, match=f"between 0 and 1, but is {slope}"):
        LeakyReLU(slope)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_have_nothing_to_learn(name):
    layer = ACTIVATIONS[name]()
    assert layer.num_params == 0
    assert not layer.parameters()
    assert not layer.weights()
