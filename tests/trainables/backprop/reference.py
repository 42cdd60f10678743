"""Pairs of equal networks, one of our own modules and one of PyTorch's, and their comparison."""

import itertools
from collections.abc import Callable, Iterator

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from trainables.backprop.activations import ACTIVATIONS
from trainables.backprop.layers import BatchNorm, Linear
from trainables.backprop.module import Module
from trainables.backprop.sequential import Sequential

TORCHS_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "softmax": lambda: nn.Softmax(-1),
}
TORCHS_NAMES = {"gamma": "weight", "beta": "bias"}

member_axes = st.sampled_from([(), (1,), (3,), (2, 3)])
seeds = st.integers(0, 999)
networks = st.fixed_dictionaries(
    {
        "widths": st.lists(st.integers(1, 5), min_size=2, max_size=4),
        "activation": st.sampled_from(list(ACTIVATIONS)),
        "batch_norm": st.booleans(),
    }
)


def our_network(widths: list[int], activation: str = "relu", batch_norm: bool = False):
    modules: list[Module] = []
    for before, after in itertools.pairwise(widths):
        norm = [BatchNorm(after)] if batch_norm else []
        modules += [Linear(before, after), *norm, ACTIVATIONS[activation]()]
    return Sequential([*modules, Linear(widths[-1], 2)])


def torchs_network(widths: list[int], activation: str = "relu", batch_norm: bool = False):
    modules: list[nn.Module] = []
    for before, after in itertools.pairwise(widths):
        norm = [nn.BatchNorm1d(after)] if batch_norm else []
        modules += [nn.Linear(before, after), *norm, TORCHS_ACTIVATIONS[activation]()]
    return nn.Sequential(*modules, nn.Linear(widths[-1], 2)).double()


def stacked(make: Callable[[], Sequential], members: tuple[int, ...]) -> Sequential:
    """Network in float64 with these member axes; its parameters are random normal values."""
    network = make()
    for size in reversed(members):
        network = Sequential.stack([network] * size)
    network.to(dtype=torch.float64)
    network.flat.copy_(torch.randn_like(network.flat))
    return network


def each(members: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Indices of all members."""
    return itertools.product(*(range(size) for size in members))


def randn(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64)


def torchs_values(values: dict[str, Tensor], member: tuple[int, ...]) -> dict[str, Tensor]:
    """Values of one member under PyTorch's names."""
    renamed = {}
    for name, value in values.items():
        place, _, leaf = name.rpartition(".")
        renamed[f"{place}.{TORCHS_NAMES.get(leaf, leaf)}"] = value[member]
    return renamed


def load_member(theirs: nn.Module, network: Sequential, member: tuple[int, ...]) -> None:
    """Copy a member's parameters into PyTorch's network."""
    theirs.load_state_dict(torchs_values(network.state_dict(), member), strict=False)


def assert_close(actual: Tensor, expected: Tensor, *, atol: float = 1e-11) -> None:
    torch.testing.assert_close(actual, expected.detach(), rtol=1e-9, atol=atol)


def assert_same_values(
    values: dict[str, Tensor], theirs: dict[str, Tensor], member: tuple[int, ...]
) -> None:
    """Assert that a member's values equal those of PyTorch's network, name by name."""
    ours = torchs_values(values, member)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert_close(value, theirs[name])


def gradients_of(theirs: nn.Module) -> dict[str, Tensor]:
    return {n: p.grad for n, p in theirs.named_parameters() if p.grad is not None}


def statistics_of(theirs: nn.Module) -> dict[str, Tensor]:
    return {n: b for n, b in theirs.named_buffers() if not n.endswith("num_batches_tracked")}
