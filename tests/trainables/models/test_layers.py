import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from trainables.models.layers import (
    Dropout,
    dense_layers,
    dropout_layers,
    num_params,
    widths_of,
)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_dropout_has_the_distribution_of_torchs(rate):
    x = torch.ones(400, 500)
    torch.manual_seed(0)
    ours, theirs = Dropout(rate)(x), nn.Dropout(rate)(x)
    torch.testing.assert_close(ours.unique(), theirs.unique())
    for y in (ours, theirs):
        assert (y == 0).float().mean() == pytest.approx(rate, abs=0.005)
        assert y.mean() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("rate", [0.3, 0.6])
def test_channelwise_dropout_drops_whole_channels_as_torchs(rate):
    x = torch.ones(200, 100, 2, 3)
    torch.manual_seed(0)
    for layer in (Dropout(rate, channelwise=True), nn.Dropout2d(rate)):
        channels = layer(x).flatten(2)
        assert (channels == channels[:, :, :1]).all()
        assert (channels[:, :, 0] == 0).float().mean() == pytest.approx(rate, abs=0.01)
        assert channels.max() == pytest.approx(1 / (1 - rate))


@pytest.mark.parametrize("channelwise", [True, False])
def test_dropout_of_nothing_and_dropout_in_evaluation_are_the_identity(channelwise):
    x = torch.randn(5, 4, 3, 3)
    assert torch.equal(Dropout(0.0, channelwise=channelwise)(x), x)
    assert torch.equal(Dropout(0.7, channelwise=channelwise).eval()(x), x)


@given(rate=st.floats(0, 0.9), seed=st.integers(0, 99), channelwise=st.booleans())
def test_dropout_uses_the_noise_it_is_given(rate, seed, channelwise):
    x = torch.arange(1.0, 25.0).view(2, 3, 2, 2)
    layer = Dropout(rate, channelwise=channelwise)
    shape = layer.noise_shape(x.shape)
    layer.noise = torch.rand(shape.numel(), generator=torch.Generator().manual_seed(seed))
    state = torch.get_rng_state()
    y = layer(x)
    assert torch.equal(torch.get_rng_state(), state)
    kept = (layer.noise.view(shape) >= layer.rate).expand_as(x)
    torch.testing.assert_close(y[kept], x[kept] / (1 - layer.rate))
    assert (y[~kept] == 0).all()


def test_dropout_passes_the_gradient_of_what_it_keeps():
    x = torch.ones(100, requires_grad=True)
    layer = Dropout(0.5)
    layer(x.view(10, 10)).sum().backward()
    assert set(x.grad.tolist()) == {0.0, 2.0}


def test_the_rate_and_the_noise_are_no_part_of_a_models_state():
    assert not Dropout(0.5).state_dict()
    assert not list(Dropout(0.5).parameters())


def test_a_rate_of_zero_makes_no_layer():
    assert dropout_layers(0.0) == []
    assert [type(layer) for layer in dropout_layers(0.1)] == [Dropout]


def test_dense_layers_stand_in_the_order_that_is_asked_for():
    def kinds(**options):
        return [type(layer).__name__ for layer in dense_layers(4, [3], **options)]

    assert kinds() == ["Linear", "ReLU"]
    assert kinds(dropout=0.5) == ["Linear", "ReLU", "Dropout"]
    assert kinds(dropout=0.5, dropout_first=True) == ["Linear", "Dropout", "ReLU"]
    assert kinds(batch_norm=True, activation="leaky_relu") == [
        "Linear",
        "BatchNorm1d",
        "LeakyReLU",
    ]
    x = torch.randn(2, 4)
    assert torch.equal(dense_layers(4, [])(x), x)


def test_widths_of_a_number_repeat_and_grow():
    assert widths_of(8, repeat=3, factor=2) == (8, 16, 32)
    assert widths_of(8, repeat=0) == ()
    assert widths_of((5, 3), repeat=9, factor=9) == (5, 3)


def test_shared_and_frozen_parameters_are_not_counted_twice():
    layer = nn.Linear(3, 2)
    frozen = nn.Linear(3, 2).requires_grad_(False)
    assert num_params(nn.Sequential(layer, layer, frozen)) == 8
