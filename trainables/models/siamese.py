"""Siamese networks: a branch on each image, shared or not, and a head that compares.

A branch is convolutional, or a perceptron where `channels` is empty. Digit scores lie on the path
(the branch ends in ten scores, which the head compares) or at its side (an extra classifier on the
branch's features), or there are none.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trainables.errors import UserError
from trainables.models.conv import IMAGE_SIZE, ConvConfig, conv_trunk, trunk_features
from trainables.models.layers import NUM_DIGITS, Scores, dense_layers

DigitPlace = Literal["none", "path", "side"]


@dataclass(frozen=True, kw_only=True)
class SiameseConfig(ConvConfig):
    """Branches, digit scores and head. `channels`, `hidden` and their like describe one branch."""

    digits: DigitPlace = "none"
    """Where the ten digit scores are: nowhere, between branch and head, or beside the head."""
    digit_softmax: bool = True
    """The head sees digit probabilities instead of scores; only with `digits="path"`."""
    digit_hidden: tuple[int, ...] = ()
    """Hidden units of the digit classifier at the side."""
    head_hidden: tuple[int, ...] = ()
    """Hidden units of the head."""
    head_batch_norm: bool = False
    head_dropout: bool = False
    """Dropout between the head's layers too."""


class Branch(nn.Module):
    """One image to a feature vector."""

    def __init__(self, config: SiameseConfig):
        super().__init__()
        if config.block_channels:
            self.trunk = conv_trunk(config, 1)
            num_inputs = trunk_features(self.trunk, 1)
        else:
            self.trunk = nn.Sequential(nn.Flatten())
            num_inputs = IMAGE_SIZE**2
        self.hidden = dense_layers(
            num_inputs,
            config.hidden_widths,
            activation=config.activation,
            dropout=config.dropout,
            batch_norm=config.batch_norm == "before" and not config.block_channels,
        )
        self.num_features = (num_inputs, *config.hidden_widths)[-1]

    def forward(self, image: Float[Tensor, "b 1 h w"]) -> Float[Tensor, "b features"]:
        return self.hidden(self.trunk(image))


class SiameseNet(nn.Module):
    """Two branches and a head; `weight_sharing` makes the branches one.

    A shared branch sees both images as one batch of twice the size: the same function, one call,
    and batch-norm statistics over the images of both sides.

    Raises:
        UserError: If `auxiliary` is set and the configuration has no digit scores, or the digit
            classifier at the side would not be trained.
    """

    def __init__(self, config: SiameseConfig, *, weight_sharing: bool, auxiliary: bool):
        super().__init__()
        if auxiliary and config.digits == "none":
            raise UserError("digits must be 'path' or 'side' for an auxiliary loss, but is 'none'")
        if config.digits == "side" and not auxiliary:
            raise UserError("digits='side' needs an auxiliary loss: nothing else would train it")
        branches = [Branch(config) for _ in range(1 if weight_sharing else 2)]
        self.branches = nn.ModuleList(branches)
        features = branches[0].num_features
        self.auxiliary = auxiliary
        self.on_path = config.digits == "path"
        self.digit_softmax = config.digit_softmax
        self.squash = config.squash
        self.digits: nn.ModuleList | None = None
        if config.digits == "path":  # each branch has its own scores
            self.digits = nn.ModuleList(nn.Linear(features, NUM_DIGITS) for _ in self.branches)
            features = NUM_DIGITS
        elif config.digits == "side":  # one classifier for both branches
            hidden = dense_layers(features, config.digit_hidden, activation=config.activation)
            last = (features, *config.digit_hidden)[-1]
            self.digits = nn.ModuleList([nn.Sequential(hidden, nn.Linear(last, NUM_DIGITS))])
        self.head = nn.Sequential(
            dense_layers(
                2 * features,
                config.head_hidden,
                activation=config.activation,
                dropout=config.dropout if config.head_dropout else 0.0,
                batch_norm=config.head_batch_norm,
            ),
            nn.Linear((2 * features, *config.head_hidden)[-1], config.outputs),
        )

    def forward(self, pair: Float[Tensor, "b 2 h w"]) -> Scores:
        features = _each(self.branches, pair.unsqueeze(2))
        digits = None
        if self.digits is not None:
            digits = _each(self.digits, features)
            if self.squash:
                digits = digits.softmax(-1)
        if self.on_path and digits is not None:
            softmax = self.digit_softmax and not self.squash
            features = digits.softmax(-1) if softmax else digits
        comparison = self.head(features.flatten(1))
        if self.squash:
            comparison = comparison.sigmoid()
        return Scores(comparison, digits if self.auxiliary else None)


def _each(modules: nn.ModuleList, x: Float[Tensor, "b 2 *inner"]) -> Float[Tensor, "b 2 *outer"]:
    """Apply one module to both sides in one call, or each of two to its own."""
    if len(modules) == 1:
        return modules[0](x.flatten(0, 1)).unflatten(0, (-1, 2))
    return torch.stack([module(x[:, side]) for side, module in enumerate(modules)], dim=1)
