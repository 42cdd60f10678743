import torch
from torch import nn

from tests.refusals import refused
from trainables.stack.memory import check_size, memory


def test_a_network_that_cannot_fit_is_refused_before_it_is_built() -> None:
    parameters = memory() // 16 // 3
    check_size(lambda: nn.Linear(parameters // 2, 1), members=3)
    for make in (
        lambda: nn.Linear(parameters, 1),
        lambda: nn.Embedding(10**9, 784),
        lambda: nn.Sequential(nn.Linear(10**6, 10**6), nn.Linear(10**6, 2)),
    ):
        with refused("memory.network-too-large", folds=3):
            check_size(make, members=3)


def test_a_layer_whose_size_cannot_be_counted_is_refused() -> None:
    for size in (10**12, 2**62, 2**63):
        with refused("memory.layer-too-large"):
            check_size(lambda size=size: nn.Linear(size, 10**12), members=2)


def test_what_cannot_be_built_without_numbers_is_not_judged() -> None:
    def make() -> nn.Module:
        nn.Linear(2, 2).weight.detach().numpy()
        raise AssertionError

    check_size(make, members=3)


def test_random_numbers_are_drawn_as_before() -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    check_size(lambda: nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5)), members=3)
    assert torch.equal(torch.rand(3), expected)
