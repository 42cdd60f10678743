import pytest
import torch

from trainables.backprop.activations import ACTIVATIONS
from trainables.backprop.layers import BatchNorm, Linear
from trainables.backprop.module import Module
from trainables.backprop.sequential import Sequential
from trainables.models.backprop import as_torch


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("learn", [True, False])
def test_a_network_in_modules_of_torch_is_the_same(activation, learn):
    torch.manual_seed(0)
    norm = BatchNorm(5, learn=learn)
    network = Sequential([Linear(3, 5), norm, ACTIVATIONS[activation](), Linear(5, 2)])
    for _ in range(3):
        network.forward(2 * torch.randn(40, 3) + 1)  # updates the running averages
    network.flat += 0.1 * torch.randn_like(network.flat)
    x = torch.randn(20, 3)
    torch.testing.assert_close(as_torch(network)(x), network.eval().forward(x))


def test_a_layer_that_torch_is_not_known_to_have_is_refused():
    class Odd(Module):
        def _forward(self, x):
            return x

        def _backward(self, grad):
            return grad

    with pytest.raises(NotImplementedError, match="no module of torch for Odd"):
        as_torch(Sequential([Odd()]))
