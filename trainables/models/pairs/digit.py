"""Digit classifiers; the comparison is computed from their predictions."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from foldsweep.texts import text
from trainables.models.pairs.conv import ConvConfig
from trainables.models.pairs.scores import NUM_DIGITS, Scores
from trainables.models.pairs.siamese import ConvBranch, each


@dataclass(frozen=True, kw_only=True)
class DigitConfig(ConvConfig):
    """Convolutional classifier of single digits, trained with the digit losses only."""

    main_weight: float = 0.0
    aux_weight: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("main_weight", self.main_weight == 0, text("digit.no-weight"))
        self.require("outputs", self.outputs == 2, text("digit.no-outputs"))
        self.require("squash", not self.squash, text("digit.no-squash"))


@dataclass(frozen=True, kw_only=True)
class DeepDigitConfig(DigitConfig):
    """As `DigitConfig`, with several classifiers, digit smoothing and elastic augmentation."""

    copies: int = 1
    """Number of classifiers whose probabilities are averaged."""
    elastic: float = 0.0
    """Elastic augmentation: largest shift of the nodes of a mesh over each image, in pixels."""
    digit_smoothing: float = 0.0
    """Label smoothing of digits: share of the probability that is spread evenly over all ten."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_at_least(1, copies=self.copies)
        self.require_amounts("elastic")
        self.require("digit_smoothing", 0.0 <= self.digit_smoothing < 1.0, text("rules.part"))


class DigitNet(nn.Module):
    """Classifier of both digits; the comparison of the predicted digits has no gradient."""

    def __init__(self, config: DigitConfig):
        super().__init__()
        branch = ConvBranch(config)
        self.classifier = nn.ModuleList(
            [nn.Sequential(branch, nn.Linear(branch.num_features, NUM_DIGITS))]
        )

    def forward(self, pair: Float[Tensor, "b 2 h w"]) -> Scores:
        digits = each(self.classifier, pair.unsqueeze(-3), side=-4)
        left, right = digits.argmax(2).unbind(1)
        comparison = torch.stack([left > right, left <= right], dim=1).to(digits.dtype)
        return Scores(comparison, digits)


class DeepDigitNet(nn.Module):
    """Ensemble of classifiers of both digits, which compares by the digit probabilities.

    The comparison scores are the probabilities that the first digit is larger, or at most the
    second; they have no gradient. In training the output has the digits of each classifier, so
    that each is trained on its own loss; in evaluation their probabilities are averaged.
    """

    def __init__(self, config: DeepDigitConfig):
        super().__init__()
        self.nets = nn.ModuleList(DigitNet(config) for _ in range(config.copies))

    def forward(self, pair: Float[Tensor, "b 2 h w"]) -> Scores:
        each_s = [net(pair).digits for net in self.nets]
        log_p = torch.stack([digits.log_softmax(2) for digits in each_s])
        digits = log_p.logsumexp(0) - math.log(len(self.nets))
        in_order = at_most(digits.detach().softmax(2))
        comparison = torch.stack([1 - in_order, in_order], dim=1)
        return Scores(comparison, torch.cat(each_s, dim=1) if self.training else digits)


def at_most(digits: Float[Tensor, "n 2 10"]) -> Float[Tensor, " n"]:
    """Probability that the left digit is at most the right one.

    Args:
        digits: Probabilities of both digits, which are taken to be independent.
    """
    left, right = digits.unbind(1)
    return (left.cumsum(1) * right).sum(1).clamp(max=1)
