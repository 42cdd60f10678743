import pytest
import torch
from torch import nn

from tests.refusals import refused, text
from trainables.models.conv import BlocksConfig, conv_trunk, trunk_features
from trainables.models.layers import Dropout
from trainables.models.pairs.conv import ConvNet, PairConvConfig


def kinds(**values):
    return [type(layer).__name__ for layer in conv_trunk(BlocksConfig(**values), 2, 14)]


@pytest.mark.parametrize(
    ("place", "block"),
    [
        ("none", ["Conv2d", "MaxPool2d", "ReLU"]),
        ("before", ["Conv2d", "BatchNorm2d", "MaxPool2d", "ReLU"]),
        ("after", ["Conv2d", "ReLU", "BatchNorm2d", "MaxPool2d"]),
    ],
)
def test_a_block_is_ordered_by_the_place_of_its_batch_norm(place, block):
    assert kinds(channels=(3, 5), batch_norm=place) == [*block, *block]
    drop = [*block, "Dropout"]
    assert kinds(channels=(3, 5), batch_norm=place, dropout=0.5) == [*drop, *drop]


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
    trunk = conv_trunk(BlocksConfig(**values), 2, 14)
    assert trunk_features(trunk, (2, 14, 14)) == features


def test_finding_the_features_leaves_no_trace():
    trunk = conv_trunk(BlocksConfig(channels=(3,), batch_norm="before"), 2, 14)
    before = {name: value.clone() for name, value in trunk.state_dict().items()}
    trunk_features(trunk, (2, 14, 14))
    assert trunk.training
    assert all(torch.equal(value, before[name]) for name, value in trunk.state_dict().items())


@pytest.mark.parametrize(
    "values", [{"conv_layers": 4}, {"channels": (2, 2), "kernel": 13}, {"kernel": 15}]
)
def test_blocks_that_leave_no_image_are_refused(values):
    with refused("conv.image-too-small"):
        ConvNet(PairConvConfig(**values))


def test_kernels_must_be_as_many_as_blocks():
    with refused("conv.kernel-sizes-differ", sizes=2, kernel=(3, 3, 3)):
        ConvNet(PairConvConfig(channels=(3, 5), kernel=(3, 3, 3)))


@pytest.mark.parametrize("channelwise", [True, False])
def test_channel_dropout_reaches_the_blocks_only(channelwise):
    config = PairConvConfig(channels=(3,), hidden=4, dropout=0.5, channel_dropout=channelwise)
    model = ConvNet(config)
    drops = [layer.channelwise for layer in model.modules() if hasattr(layer, "channelwise")]
    assert drops == [channelwise, False]


def test_dropout_may_follow_the_last_block_only():
    block = ["Conv2d", "MaxPool2d", "ReLU"]
    drop = [*block, "Dropout"]
    for channels, expected in [((3, 5), [*block, *drop]), ((3,), drop), ((), [])]:
        assert kinds(channels=channels, dropout=0.5, dropout_blocks="last") == expected
    config = PairConvConfig(channels=(3, 5), hidden=(4,), dropout=0.5, dropout_blocks="last")
    rates = [float(m.rate) for m in ConvNet(config).modules() if isinstance(m, Dropout)]
    assert rates == [0.5, 0.5]  # of the last block and of the linear layer


@pytest.mark.parametrize("outputs", [1, 2])
def test_an_output_kernel_as_large_as_its_image_is_a_linear_layer(outputs):
    """The image has 14 - 3 + 1 = 12 pixels, and 6 after pooling."""
    config = PairConvConfig(channels=(3,), output_kernel=6, outputs=outputs)
    model = ConvNet(config)
    linear = nn.Linear(3 * 6 * 6, outputs)
    weight, bias = model.output.parameters()
    linear.load_state_dict({"weight": weight.flatten(1), "bias": bias})
    pair = torch.randn(5, 2, 14, 14)
    expected = linear(model.trunk(pair).flatten(1))
    torch.testing.assert_close(model(pair).comparison, expected)


def test_an_output_kernel_is_averaged_over_its_positions():
    model = ConvNet(PairConvConfig(channels=(3,), output_kernel=5))
    pair = torch.randn(5, 2, 14, 14)
    features = model.trunk(pair)
    corners = [features[:, :, i : i + 5, j : j + 5] for i in (0, 1) for j in (0, 1)]
    weight, bias = model.output.parameters()
    each = [corner.flatten(1) @ weight.flatten(1).T + bias for corner in corners]
    torch.testing.assert_close(model(pair).comparison, sum(each) / 4)


def test_an_output_kernel_leaves_no_linear_layers():
    model = ConvNet(PairConvConfig(channels=(3,), hidden=(4,), output_kernel=6))
    assert all(p.ndim in (1, 4) for p in model.parameters())


@pytest.mark.parametrize(("channels", "side"), [((3,), 6), ((), 14)])
def test_an_output_kernel_larger_than_its_image_is_refused(channels, side):
    ConvNet(PairConvConfig(channels=channels, output_kernel=side))
    with refused("config.value-refused", field="output_kernel", value=f"{side + 1}") as caught:
        ConvNet(PairConvConfig(channels=channels, output_kernel=side + 1))
    assert caught.value.values["rule"] == text("conv.output-kernel", most=side)


def test_squashed_scores_are_between_0_and_1():
    model = ConvNet(PairConvConfig(channels=(3,), hidden=4, squash=True))
    scores = model(100 * torch.randn(20, 2, 14, 14)).comparison
    assert 0 <= scores.min() <= scores.max() <= 1
