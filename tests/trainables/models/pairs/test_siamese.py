import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.refusals import refused
from trainables.models.layers import num_params
from trainables.models.pairs.siamese import (
    ConvBranch,
    ConvSiameseConfig,
    PerceptronBranch,
    PerceptronSiameseConfig,
    SiameseNet,
    TransferConfig,
)

SMALL = {
    ConvSiameseConfig: {"channels": (3, 4), "hidden": 6},
    PerceptronSiameseConfig: {"hidden": 6},
}
BRANCHES = [
    (ConvSiameseConfig, "none"),
    (ConvSiameseConfig, "before"),
    (ConvSiameseConfig, "after"),
    (PerceptronSiameseConfig, True),
]
PLACES = [
    {"digits": "none"},
    {"digits": "path"},
    {"digits": "path", "digit_softmax": False},
    {"digits": "path", "squash": True},
    {"digits": "side"},
    {"digits": "side", "digit_hidden": (5,), "head_hidden": (5,), "head_batch_norm": True},
]


def net(*, family=ConvSiameseConfig, weight_sharing=True, auxiliary=None, **values):
    config = family(**{**SMALL[family], **values})
    auxiliary = config.digits != "none" if auxiliary is None else auxiliary
    torch.manual_seed(0)
    return SiameseNet(config, weight_sharing=weight_sharing, auxiliary=auxiliary)


def reference(model, config, pair):
    """Scores of the network, computed image by image."""
    both = [model.branches[i % len(model.branches)](pair[:, i : i + 1]) for i in (0, 1)]
    digits = None
    if model.digits is not None:
        digits = [model.digits[i % len(model.digits)](both[i]) for i in (0, 1)]
        if config.squash:
            digits = [d.softmax(1) for d in digits]
    if config.digits == "path":
        probabilities = config.digit_softmax and not config.squash
        both = [d.softmax(1) if probabilities else d for d in digits]
    comparison = model.head(torch.cat(both, dim=1))
    return comparison.sigmoid() if config.squash else comparison, digits


@pytest.mark.parametrize("weight_sharing", [True, False])
@pytest.mark.parametrize(("family", "batch_norm"), BRANCHES)
@pytest.mark.parametrize("place", PLACES, ids=str)
def test_images_in_one_batch_are_images_one_by_one(place, family, batch_norm, weight_sharing):
    values = {**SMALL[family], **place, "batch_norm": batch_norm, "dropout": 0.3}
    model = net(family=family, weight_sharing=weight_sharing, **values)
    model(torch.randn(30, 2, 14, 14))  # updates the statistics of batch-norm
    model.eval()
    pair = torch.randn(9, 2, 14, 14)
    scores = model(pair)
    comparison, digits = reference(model, family(**values), pair)
    torch.testing.assert_close(scores.comparison, comparison)
    if place["digits"] == "none":
        assert scores.digits is None
    else:
        torch.testing.assert_close(scores.digits, torch.stack(digits, dim=1))


@given(st.lists(st.integers(1, 9), max_size=3), st.sampled_from(["none", "path", "side"]))
def test_a_perceptron_branch_takes_the_pixels_of_its_image(hidden, digits):
    model = net(family=PerceptronSiameseConfig, hidden=tuple(hidden), digits=digits)
    scores = model(torch.randn(4, 2, 14, 14))
    assert scores.comparison.shape == (4, 2)
    widths = (14 * 14, *hidden)
    expected = sum((i + 1) * o for i, o in zip(widths, widths[1:], strict=False))
    assert num_params(model.branches) == expected


def test_a_convolutional_branch_without_blocks_sees_the_pixels():
    assert num_params(ConvBranch(ConvSiameseConfig(channels=(), hidden=6))) == (14 * 14 + 1) * 6


@pytest.mark.parametrize(
    ("family", "branch"),
    [(ConvSiameseConfig, ConvBranch), (PerceptronSiameseConfig, PerceptronBranch)],
)
def test_a_shared_branch_is_counted_once(family, branch):
    shared, separate = net(family=family), net(family=family, weight_sharing=False)
    branch = num_params(branch(family(**SMALL[family])))
    assert num_params(separate) == num_params(shared) + branch


def test_separate_branches_start_and_stay_different():
    model = net(weight_sharing=False)
    left, right = (list(branch.parameters()) for branch in model.branches)
    assert not any(a is b for a, b in zip(left, right, strict=True))
    assert any((a != b).any() for a, b in zip(left, right, strict=True))


def test_a_shared_branch_gives_one_image_one_score_on_both_sides():
    model = net(digits="path").eval()
    image = torch.randn(5, 1, 14, 14)
    digits = model(torch.cat([image, image], dim=1)).digits
    torch.testing.assert_close(digits[:, 0], digits[:, 1])


def test_digits_on_the_path_may_go_without_an_auxiliary_loss():
    assert net(digits="path", auxiliary=False)(torch.randn(2, 2, 14, 14)).digits is None


def test_an_auxiliary_loss_without_digit_scores_is_refused():
    with refused("siamese.auxiliary-without-digits"):
        net(digits="none", auxiliary=True)


def test_a_digit_classifier_that_nothing_trains_is_refused():
    with refused("siamese.side-without-auxiliary"):
        net(digits="side", auxiliary=False)


def test_dropout_reaches_the_head_only_where_asked():
    def drops(**values):
        model = net(dropout=0.5, head_hidden=(5,), **values)
        return sum(type(layer).__name__ == "Dropout" for layer in model.head.modules())

    assert (drops(), drops(head_dropout=True)) == (0, 1)


@pytest.mark.parametrize("widths", [(5,), (5, 5), ()])
@pytest.mark.parametrize("digits", ["none", "path", "side"])
def test_a_number_means_that_many_equal_layers_of_the_head(widths, digits):
    exact = net(head_hidden=widths, digits=digits)
    number = net(head_hidden=5, head_hidden_layers=len(widths), digits=digits)
    assert str(number) == str(exact)
    outputs = [m.out_features for m in number.head.modules() if isinstance(m, torch.nn.Linear)]
    assert outputs == [*widths, 2]


@pytest.mark.parametrize(
    ("pretrain", "epochs", "expected"),
    [(0.5, 100, 50), (0.3, 10, 3), (0.01, 10, 1), (0.99, 10, 9), (0.9, 2, 1)],
)
def test_each_phase_of_a_transfer_has_its_share_and_at_least_an_epoch(pretrain, epochs, expected):
    config = TransferConfig(pretrain=pretrain, epochs=epochs, main_weight=0.7, aux_weight=0.3)
    assert config.pretrain_epochs == expected
    weights = [config.loss_weights_at(epoch) for epoch in range(epochs)]
    assert weights == [(0.0, 0.3)] * expected + [(0.7, 0.0)] * (epochs - expected)
    frozen = [config.frozen_at(epoch) for epoch in range(epochs)]
    assert frozen[:expected] == [("head",)] * expected
    assert frozen[expected:] == [("branches.0.trunk", "digits")] * (epochs - expected)


def test_a_transfer_may_go_on_learning_its_convolutions():
    config = TransferConfig(pretrain=0.5, epochs=2, freeze=False)
    assert [config.frozen_at(epoch) for epoch in range(2)] == [("head",), ("digits",)]
