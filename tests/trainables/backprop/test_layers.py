import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from tests.trainables.backprop.reference import (
    assert_close,
    each,
    member_axes,
    randn,
    seeds,
    stacked,
)
from trainables.backprop.layers import BatchNorm, Linear
from trainables.backprop.sequential import Sequential

sizes = st.integers(1, 5)


@given(members=member_axes, n=sizes, f=sizes, k=sizes, seed=seeds)
def test_linear_gradients_are_those_of_autograd(members, n, f, k, seed):
    torch.manual_seed(seed)
    network = stacked(lambda: Sequential([Linear(f, k)]), members)
    x, grad = randn(*members, n, f), randn(*members, n, k)
    y, x_grad = network.forward(x), network.backward(grad)
    for member in each(members):
        leaves = [x[member], network.parameters()["0.weight"][member]]
        leaves = [t.clone().requires_grad_() for t in leaves]
        bias = network.parameters()["0.bias"][member].clone().requires_grad_()
        expected = F.linear(*leaves, bias)
        expected.backward(grad[member])
        assert_close(y[member], expected)
        assert_close(x_grad[member], leaves[0].grad)
        assert_close(network.gradients()["0.weight"][member], leaves[1].grad)
        assert_close(network.gradients()["0.bias"][member], bias.grad)


@pytest.mark.parametrize("learn", [True, False])
@pytest.mark.parametrize("training", [True, False])
@given(members=member_axes, n=st.integers(2, 6), f=sizes, seed=seeds)
def test_batch_norm_and_its_gradients_are_torchs(training, learn, members, n, f, seed):
    torch.manual_seed(seed)
    network = stacked(lambda: Sequential([BatchNorm(f, learn=learn)]), members)
    copies = {member: nn.BatchNorm1d(f).double() for member in each(members)}
    if learn:
        for member, copy in copies.items():
            copy.weight.data.copy_(network.parameters()["0.gamma"][member])
            copy.bias.data.copy_(network.parameters()["0.beta"][member])
    batches = [randn(*members, n, f) * 3 + 1 for _ in range(3)]
    for x in batches:
        network.forward(x)
        for member, copy in copies.items():
            copy(x[member])
    if not training:
        network.eval()
    x, grad = randn(*members, n, f), randn(*members, n, f)
    y, x_grad = network.forward(x), network.backward(grad)
    for member, copy in copies.items():
        copy.train(training)
        leaf = x[member].clone().requires_grad_()
        expected = copy(leaf)
        expected.backward(grad[member])
        assert_close(y[member], expected)
        assert_close(x_grad[member], leaf.grad)
        assert_close(network.buffers()["0.running_mean"][member], copy.running_mean)
        assert_close(network.buffers()["0.running_var"][member], copy.running_var)
        if learn:
            assert_close(network.gradients()["0.gamma"][member], copy.weight.grad)
            assert_close(network.gradients()["0.beta"][member], copy.bias.grad)
    assert network.num_params == (2 * f if learn else 0)


@pytest.mark.parametrize("learn", [True, False])
@pytest.mark.parametrize("members", [(3,), (2, 3)])
def test_rows_that_members_share_are_rows_of_each(members, learn):
    torch.manual_seed(0)
    network = stacked(lambda: Sequential([BatchNorm(2, learn=learn), Linear(2, 3)]), members)
    x, grad = randn(5, 2), randn(*members, 5, 3)
    shared = network.forward(x), network.backward(grad), network.gradients(), network.buffers()
    shared = [
        {k: v.clone() for k, v in t.items()} if isinstance(t, dict) else t.clone() for t in shared
    ]
    network.load_state_dict(network.state_dict() | {"0.running_mean": torch.zeros(*members, 2)})
    network.load_state_dict(network.state_dict() | {"0.running_var": torch.ones(*members, 2)})
    own = network.forward(x.expand(*members, 5, 2)), network.backward(grad)
    assert_close(shared[0], own[0])
    assert_close(shared[1], own[1])
    for name, gradient in network.gradients().items():
        assert_close(shared[2][name], gradient)
    for name, buffer in network.buffers().items():
        assert_close(shared[3][name], buffer)


def test_evaluation_leaves_the_running_statistics_alone():
    layer = BatchNorm(2).eval()
    layer.forward(torch.full((3, 2), 9.0))
    assert layer.buffers()["running_mean"].tolist() == [0.0, 0.0]
    assert layer.buffers()["running_var"].tolist() == [1.0, 1.0]


def test_batch_norm_refuses_to_train_on_a_single_row():
    with pytest.raises(ValueError, match="at least 2 rows to train on, but got 1"):
        BatchNorm(2).forward(torch.ones(3, 1, 2))
    BatchNorm(2).eval().forward(torch.ones(3, 1, 2))


def test_only_the_matrices_of_linear_layers_are_weights():
    layer = Linear(2, 3)
    assert [w.shape for w in layer.weights()] == [(3, 2)]
    assert BatchNorm(3).weights() == []
