import pytest
import torch
from torch import nn

from trainables.errors import UserError
from trainables.models.conv import ConvConfig, ConvNet, conv_trunk, trunk_features


def kinds(**values):
    return [type(layer).__name__ for layer in conv_trunk(ConvConfig(**values), 2)]


@pytest.mark.parametrize(
    ("place", "block"),
    [
        ("none", ["Conv2d", "MaxPool2d", "ReLU"]),
        ("before", ["Conv2d", "BatchNorm2d", "MaxPool2d", "ReLU"]),
        ("after", ["Conv2d", "ReLU", "BatchNorm2d", "MaxPool2d"]),
    ],
)
def test_a_block_is_ordered_by_the_place_of_its_batch_norm(place, block):
    assert kinds(channels=(3, 5), batch_norm=place) == [*block, *block, "Flatten"]
    drop = [*block, "Dropout"]
    assert kinds(channels=(3, 5), batch_norm=place, dropout=0.5) == [*drop, *drop, "Flatten"]


def test_pooling_before_the_activation_is_pooling_after_it():
    x = torch.randn(3, 2, 8, 8)
    for activation in (nn.ReLU(), nn.LeakyReLU()):
        pool = nn.MaxPool2d(2)
        assert torch.equal(activation(pool(x)), pool(activation(x)))


@pytest.mark.parametrize(
    ("values", "features"),
    [
        ({"channels": (3,), "kernel": 3}, 3 * 6 * 6),
        ({"channels": (3,), "kernel": 3, "padding": 1}, 3 * 7 * 7),
        ({"channels": (3, 5), "kernel": (5, 3), "pooled": 1}, 5 * 3 * 3),
        ({"channels": 4, "conv_layers": 3, "padding": 1}, 16 * 1 * 1),
        ({"channels": (2, 2), "pooled": 0}, 2 * 10 * 10),
        ({"channels": ()}, 2 * 14 * 14),
    ],
)
def test_a_trunk_has_as_many_features_as_its_sizes_say(values, features):
    trunk = conv_trunk(ConvConfig(**values), 2)
    assert trunk_features(trunk, 2) == features


def test_finding_the_features_leaves_no_trace():
    trunk = conv_trunk(ConvConfig(channels=(3,), batch_norm="before"), 2)
    before = {name: value.clone() for name, value in trunk.state_dict().items()}
    trunk_features(trunk, 2)
    assert trunk.training
    assert all(torch.equal(value, before[name]) for name, value in trunk.state_dict().items())


@pytest.mark.parametrize(
    "values", [{"conv_layers": 4}, {"channels": (2, 2), "kernel": 13}, {"kernel": 15}]
)
def test_blocks_that_leave_no_image_are_refused(values):
    with pytest.raises(UserError, match="leaves no image; use fewer blocks or smaller kernels"):
        ConvNet(ConvConfig(**values))


def test_kernels_must_be_as_many_as_blocks():
    with pytest.raises(UserError, match="kernel must have 2 sizes, but is"):
        ConvNet(ConvConfig(channels=(3, 5), kernel=(3, 3, 3)))


@pytest.mark.parametrize("channelwise", [True, False])
def test_channel_dropout_reaches_the_blocks_only(channelwise):
    config = ConvConfig(channels=(3,), hidden=4, dropout=0.5, channel_dropout=channelwise)
    model = ConvNet(config)
    drops = [layer.channelwise for layer in model.modules() if hasattr(layer, "channelwise")]
    assert drops == [channelwise, False]


def test_squashed_scores_are_between_0_and_1():
    model = ConvNet(ConvConfig(channels=(3,), hidden=4, squash=True))
    scores = model(100 * torch.randn(20, 2, 14, 14)).comparison
    assert 0 <= scores.min() <= scores.max() <= 1
