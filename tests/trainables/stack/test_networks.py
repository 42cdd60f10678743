"""Stacked layers are equivalent to `vmap` over the members' layers."""

import pytest
import torch
from torch import nn

from tests.trainables.cases import by_autograd, in_double_precision
from tests.trainables.same import assert_same_metrics, assert_same_state
from trainables.models.layers import Dropout
from trainables.models.pairs.scores import Scores
from trainables.stack import fused
from trainables.stack.networks import StackedNetworks, VmappedNetworks, can_be_stacked
from trainables.variants import VARIANTS

PERCEPTRONS = [v for v in VARIANTS.values() if v.name.startswith("mlp") and by_autograd(v)]
TORCHS = [v for v in VARIANTS.values() if by_autograd(v)]


@pytest.mark.parametrize("variant", TORCHS, ids=lambda v: v.name)
def test_perceptrons_are_stacked_and_convolutions_are_not(variant, full_config, make_stack):
    engine = make_stack(variant, [full_config(variant)] * 2, mode="fused").engine
    expected = StackedNetworks if variant in PERCEPTRONS else VmappedNetworks
    assert type(engine.networks) is expected


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("variant", PERCEPTRONS, ids=lambda v: v.name)
def test_stacked_networks_learn_as_vmap_would_have_them(
    variant, batch_norm, full_config, make_stack, monkeypatch
):
    rates = (0.3, 0.6, 0.1)
    fields = {"batch_norm": batch_norm}
    if variant.name != "mlp":
        fields |= {"head_hidden": 6, "head_batch_norm": batch_norm}
    configs = [full_config(variant, dropout=rate, **fields) for rate in rates]
    double = in_double_precision(variant)
    stacked = make_stack(double, configs, mode="fused")
    monkeypatch.setattr(fused, "can_be_stacked", lambda model: False)
    vmapped = make_stack(double, configs, mode="fused")
    assert type(stacked.engine.networks) is not type(vmapped.engine.networks)
    for _ in range(3):
        assert_same_metrics(stacked.train_epoch(), vmapped.train_epoch())
    assert_same_state(stacked.state_dict(), vmapped.state_dict(), tol=1e-9)
    vmapped.load_state_dict(stacked.state_dict())
    for mine, theirs in zip(stacked.predict(), vmapped.predict(), strict=True):
        assert (mine["answer"] == theirs["answer"]).all()


class Net(nn.Module):
    """User-defined network around one layer of 4 features."""

    takes_leading_axes = True

    def __init__(self, layer: nn.Module):
        super().__init__()
        self.first = nn.Linear(392, 4)
        self.layer = layer
        self.last = nn.Linear(4, 2)

    def forward(self, pair):
        return Scores(self.last(self.layer(self.first(pair.flatten(-3)))))


class Scale(nn.Linear):
    """Layer of a subclass of a known one, with another forward pass."""

    def forward(self, x):
        return 2 * super().forward(x)


def in_two_places(layer: nn.Module) -> nn.Module:
    return nn.Sequential(layer, nn.ReLU(), layer)


def with_one_weight() -> nn.Module:
    layers = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    layers[0].weight = layers[1].weight
    return layers


@pytest.mark.parametrize(
    "layer",
    [
        nn.ReLU(),
        nn.LeakyReLU(0.2),
        nn.BatchNorm1d(4),
        nn.Linear(4, 4),
        nn.Sequential(),
        Dropout(0.5),
    ],
    ids=repr,
)
def test_known_layers_are_stacked(layer):
    assert can_be_stacked(Net(layer))
    nets = [Net(layer).eval() for _ in range(3)]
    with torch.no_grad():
        together = StackedNetworks(nets)({"images": torch.ones(3, 5, 2, 14, 14)}, {}).comparison
        each = torch.stack([net(torch.ones(5, 2, 14, 14)).comparison for net in nets])
    torch.testing.assert_close(together, each)


@pytest.mark.parametrize(
    "layer",
    [
        nn.PReLU(),
        nn.Dropout(0.1),
        nn.LayerNorm(4),
        nn.Linear(4, 4, bias=False),
        nn.BatchNorm1d(4, affine=False),
        nn.BatchNorm1d(4, track_running_stats=False),
        nn.BatchNorm1d(4, momentum=None),
        Dropout(0.1, channelwise=True),
        Scale(4, 4),
        nn.utils.spectral_norm(nn.Linear(4, 4)),
        nn.utils.parametrizations.weight_norm(nn.Linear(4, 4)),
        in_two_places(nn.Linear(4, 4)),
        with_one_weight(),
    ],
    ids=repr,
)
def test_others_are_left_to_vmap(layer):
    assert not can_be_stacked(Net(layer))


class Silent(Net):
    """Network that overrides `forward`, but does not declare `takes_leading_axes` itself."""

    def forward(self, pair):
        return super().forward(pair.flip(1))


class Renamed(Net):
    """Network that differs from `Net` only in its name."""


def test_a_network_whose_own_class_does_not_say_so_is_left_to_vmap():
    assert not can_be_stacked(Silent(nn.ReLU()))
    assert not can_be_stacked(nn.Sequential(nn.Linear(392, 2)))
    assert can_be_stacked(Renamed(nn.ReLU()))


def test_a_layer_with_a_hook_is_left_to_vmap():
    net = Net(nn.Linear(4, 4))
    handle = net.layer.register_forward_hook(lambda layer, args, out: 2 * out)
    assert not can_be_stacked(net)
    handle.remove()
    assert can_be_stacked(net)
