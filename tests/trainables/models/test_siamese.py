import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainables.errors import UserError
from trainables.models.layers import num_params
from trainables.models.siamese import Branch, SiameseConfig, SiameseNet

SMALL = {"channels": (3, 4), "hidden": 6}
PLACES = [
    {"digits": "none"},
    {"digits": "path"},
    {"digits": "path", "digit_softmax": False},
    {"digits": "path", "squash": True},
    {"digits": "side"},
    {"digits": "side", "digit_hidden": (5,), "head_hidden": (5,), "head_batch_norm": True},
]


def net(*, weight_sharing=True, auxiliary=None, **values):
    config = SiameseConfig(**{**SMALL, **values})
    auxiliary = config.digits != "none" if auxiliary is None else auxiliary
    torch.manual_seed(0)
    return SiameseNet(config, weight_sharing=weight_sharing, auxiliary=auxiliary)


def reference(model, config, pair):
    """The network written out image by image."""
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
@pytest.mark.parametrize("batch_norm", ["none", "before", "after"])
@pytest.mark.parametrize("place", PLACES, ids=str)
def test_images_in_one_batch_are_images_one_by_one(place, batch_norm, weight_sharing):
    values = {**SMALL, **place, "batch_norm": batch_norm, "dropout": 0.3}
    model = net(weight_sharing=weight_sharing, **values)
    model(torch.randn(30, 2, 14, 14))  # moves the statistics of batch-norm
    model.eval()
    pair = torch.randn(9, 2, 14, 14)
    scores = model(pair)
    comparison, digits = reference(model, SiameseConfig(**values), pair)
    torch.testing.assert_close(scores.comparison, comparison)
    if place["digits"] == "none":
        assert scores.digits is None
    else:
        torch.testing.assert_close(scores.digits, torch.stack(digits, dim=1))


@given(st.lists(st.integers(1, 9), max_size=3), st.sampled_from(["none", "path", "side"]))
def test_a_branch_without_channels_is_a_perceptron(hidden, digits):
    model = net(channels=(), hidden=tuple(hidden), digits=digits, batch_norm="before")
    scores = model(torch.randn(4, 2, 14, 14))
    assert scores.comparison.shape == (4, 2)
    assert not any(p.ndim == 4 for p in model.parameters())


def test_a_shared_branch_is_counted_once():
    shared, separate = net(), net(weight_sharing=False)
    branch = num_params(Branch(SiameseConfig(**SMALL)))
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
    with pytest.raises(UserError, match="digits must be 'path' or 'side'"):
        net(digits="none", auxiliary=True)


def test_a_digit_classifier_that_nothing_trains_is_refused():
    with pytest.raises(UserError, match="digits='side' needs an auxiliary loss"):
        net(digits="side", auxiliary=False)


def test_dropout_reaches_the_head_only_where_asked():
    def drops(**values):
        model = net(dropout=0.5, head_hidden=(5,), **values)
        return sum(type(layer).__name__ == "Dropout" for layer in model.head.modules())

    assert (drops(), drops(head_dropout=True)) == (0, 1)
