import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.refusals import refused, text
from trainables.models.pairs.digit import DeepDigitConfig, DeepDigitNet, DigitConfig, DigitNet
from trainables.models.pairs.losses import comparison_hits, digit_hits, pair_losses

SMALL = {"channels": (3, 4), "hidden": 6}


class FirstPixel(nn.Module):
    """Digit classifier that returns the first pixel of an image, one-hot."""

    def forward(self, image):
        return F.one_hot(image[:, 0, 0, 0].long(), 10).float()


def named(left, right):
    """Pair of images that `FirstPixel` classifies as the given digits."""
    pair = torch.zeros(1, 2, 14, 14)
    pair[0, 0, 0, 0], pair[0, 1, 0, 0] = left, right
    return pair


@pytest.mark.parametrize("left", range(10))
def test_a_pair_is_compared_by_the_names_of_its_digits(left):
    model = DigitNet(DigitConfig(**SMALL))
    model.classifier = nn.ModuleList([FirstPixel()])
    for right in range(10):
        scores = model(named(left, right))
        assert scores.comparison.argmax(1).tolist() == [int(left <= right)]
        assert comparison_hits(scores, {"target": torch.tensor([int(left <= right)])}).all()


class Given(nn.Module):
    """Digit classifier that returns the first ten pixels of an image as its scores."""

    def forward(self, image):
        return image.flatten(1)[:, :10]


def test_probabilities_of_all_digits_are_compared():
    left, right = torch.zeros(10), torch.zeros(10)
    left[7], left[2], left[3], right[5] = 0.4, 0.3, 0.3, 1.0
    pair = torch.zeros(1, 2, 14, 14)
    pair[0, 0, 0, :10], pair[0, 1, 0, :10] = left.log(), right.log()
    answers = {}
    for kind in (DigitNet, DeepDigitNet):
        model = kind(DeepDigitConfig(**SMALL)).eval()
        named = model if kind is DigitNet else model.nets[0]
        named.classifier = nn.ModuleList([Given()])
        answers[kind] = model(pair).comparison
    assert answers[DigitNet].argmax(1).tolist() == [0]  # the most likely left digit is 7
    torch.testing.assert_close(answers[DeepDigitNet], torch.tensor([[0.4, 0.6]]))


def test_both_images_are_named_by_one_classifier():
    torch.manual_seed(0)
    model = DigitNet(DigitConfig(**SMALL)).eval()
    pair = torch.randn(7, 2, 14, 14)
    expected = torch.stack([model.classifier[0](pair[:, i : i + 1]) for i in (0, 1)], dim=1)
    torch.testing.assert_close(model(pair).digits, expected)


def test_only_the_digits_train_it():
    torch.manual_seed(0)
    model = DigitNet(DigitConfig(**SMALL))
    target = {"classes": torch.randint(10, (7, 2)), "target": torch.randint(2, (7,))}
    scores = model(torch.randn(7, 2, 14, 14))
    assert not scores.comparison.requires_grad
    config = DigitConfig()
    loss = sum(
        pair_losses(
            scores,
            target,
            main_weight=torch.tensor([config.main_weight]),
            aux_weight=torch.tensor([config.aux_weight]),
            label_smoothing=torch.tensor([0.0]),
        ).values()
    ).sum()
    classes = target["classes"].flatten()
    digits = F.cross_entropy(scores.digits.flatten(0, 1), classes, reduction="sum")
    torch.testing.assert_close(loss, digits)
    assert loss.requires_grad


@pytest.mark.parametrize("values", [{"main_weight": 0.5}, {"aux_alpha": 0.5}])
def test_a_weight_on_the_comparison_is_refused(values):
    rule = text("digit.no-weight")
    with refused("config.value-refused", field="main_weight", rule=rule):
        DigitConfig(**values)
    assert DigitConfig(aux_alpha=1.0).aux_weight == 0.5


def test_copies_learn_alone_and_answer_together():
    torch.manual_seed(0)
    model = DeepDigitNet(DeepDigitConfig(**SMALL, copies=3))
    pair, classes = torch.randn(7, 2, 14, 14), torch.randint(0, 10, (7, 2))
    target = {"target": (classes[:, 0] <= classes[:, 1]).long(), "classes": classes}
    weights = {"main_weight": 0.0, "aux_weight": 1.0, "digit_smoothing": 0.1}
    alone = [pair_losses(net(pair), target, **weights)["aux"] for net in model.nets]
    together = pair_losses(model(pair), target, **weights)["aux"]
    torch.testing.assert_close(together, torch.stack(alone).mean(0))
    hits = [digit_hits(net(pair), target) for net in model.nets]
    torch.testing.assert_close(digit_hits(model(pair), target), torch.stack(hits).mean(0))
    model.eval()
    said = torch.stack([net(pair).digits.softmax(2) for net in model.nets])
    torch.testing.assert_close(model(pair).digits.exp(), said.mean(0))
