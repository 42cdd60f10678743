"""Digit classification, with the comparison outside the network."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trainables.models.pairs.conv import ConvConfig
from trainables.models.pairs.scores import NUM_DIGITS, Scores
from trainables.models.pairs.siamese import ConvBranch, each


@dataclass(frozen=True, kw_only=True)
class DigitConfig(ConvConfig):
    """A convolutional classifier of single digits; only the digit losses train it."""

    main_weight: float = 0.0
    aux_weight: float = 1.0
    digit_smoothing: float = 0.0
    """Share of a digit's probability mass that is spread evenly over all ten."""
    compare: Literal["names", "probabilities"] = "names"
    """What is compared: the likeliest digits, or the probabilities of all of them."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(
            "digit_smoothing", 0.0 <= self.digit_smoothing < 1.0, "at least 0 and below 1"
        )
        self.require("main_weight", self.main_weight == 0, "0: nothing learns to compare")
        self.require("outputs", self.outputs == 2, "2: the comparison has no units of its own")
        self.require("squash", not self.squash, "False: the comparison has no scores to squash")


class DigitNet(nn.Module):
    """Names both digits; the comparison is that of the two names, with no gradient.

    With `compare="probabilities"` it is whether the digits are more likely in order than not.
    """

    def __init__(self, config: DigitConfig):
        super().__init__()
        self.by_probability = config.compare == "probabilities"
        branch = ConvBranch(config)
        self.classifier = nn.ModuleList(
            [nn.Sequential(branch, nn.Linear(branch.num_features, NUM_DIGITS))]
        )

    def forward(self, pair: Float[Tensor, "b 2 h w"]) -> Scores:
        digits = each(self.classifier, pair.unsqueeze(-3), side=-4)
        if self.by_probability:
            in_order = at_most(digits.detach().softmax(2))
            return Scores(torch.stack([1 - in_order, in_order], dim=1), digits)
        left, right = digits.argmax(2).unbind(1)
        comparison = torch.stack([left > right, left <= right], dim=1).to(digits.dtype)
        return Scores(comparison, digits)


def at_most(digits: Float[Tensor, "n 2 10"]) -> Float[Tensor, " n"]:
    """Probability that the left digit is at most the right one.

    Args:
        digits: Probabilities of both names, taken for independent.
    """
    left, right = digits.unbind(1)
    return (left.cumsum(1) * right).sum(1).clamp(max=1)
