"""Siamese networks: a branch per image, with shared weights or not, and a head that compares.

Digit scores are on the path (each branch ends in ten scores, which are the inputs of the head), at
the side (an additional classifier on the features of the branches), or absent.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from foldsweep.errors import UserError
from foldsweep.texts import text
from trainables.models.conv import conv_trunk, trunk_features
from trainables.models.layers import Widths, dense_layers, widths_of
from trainables.models.pairs.conv import ConvConfig
from trainables.models.pairs.perceptron import PerceptronConfig
from trainables.models.pairs.scores import IMAGE_SIZE, NUM_DIGITS, PairConfig, Scores

DigitPlace = Literal["none", "path", "side"]


@dataclass(frozen=True, kw_only=True)
class SiameseConfig(PairConfig):
    """Digit scores and head of a Siamese network; subclasses add the fields of a branch."""

    digits: DigitPlace = "none"
    """Position of the ten digit scores: none, on the path between branch and head, or at the side
    of the head."""
    digit_softmax: bool = True
    """The head gets digit probabilities instead of scores; only with `digits="path"`."""
    digit_hidden: tuple[int, ...] = ()
    """Hidden units of the digit classifier at the side, per layer."""
    head_hidden: Widths = ()
    """Hidden units of the head: one width for each of `head_hidden_layers` layers, or a width per
    layer."""
    head_hidden_layers: int = 1
    head_batch_norm: bool = False
    head_dropout: bool = False
    """Dropout in the hidden layers of the head too."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_at_least(
            1, digit_hidden=self.digit_hidden, head_hidden=widths_of(self.head_hidden)
        )
        self.require_at_least(0, head_hidden_layers=self.head_hidden_layers)

    @property
    def head_widths(self) -> tuple[int, ...]:
        """Units of each hidden layer of the head."""
        return widths_of(self.head_hidden, repeat=self.head_hidden_layers)


@dataclass(frozen=True, kw_only=True)
class ConvSiameseConfig(SiameseConfig, ConvConfig):
    """Siamese network with a convolutional branch for each image."""


@dataclass(frozen=True, kw_only=True)
class PerceptronSiameseConfig(SiameseConfig, PerceptronConfig):
    """Siamese network with a perceptron for each image."""


@dataclass(frozen=True, kw_only=True)
class TransferConfig(ConvSiameseConfig):
    """Transfer learning in two phases: first the digit classifier, then the comparison.

    The comparison is trained on the features of the digit classifier. In the second phase the
    convolutions may be frozen, the linear layers of the branch continue to learn, and the state
    of the optimiser is reset.
    """

    pretrain: float = 0.5
    """Share of the epochs in the first phase."""
    freeze: bool = True
    """Whether the convolutions are frozen in the second phase."""
    digits: DigitPlace = "side"
    aux_weight: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("pretrain", 0.0 < self.pretrain < 1.0, text("rules.between"))
        self.require("digits", self.digits == "side", "'side'")
        self.require(
            "aux_schedule", self.aux_schedule == "constant", text("siamese.phases-decide")
        )
        self.require("epochs", self.epochs >= 2, text("siamese.epochs"))

    @property
    def pretrain_epochs(self) -> int:
        """Number of epochs of the first phase, at least 1 and at most all but one."""
        return min(max(round(self.pretrain * self.epochs), 1), self.epochs - 1)

    def loss_weights_at(self, epoch: int) -> tuple[float, float]:
        pretrains = epoch < self.pretrain_epochs
        return (0.0, self.aux_weight) if pretrains else (self.main_weight, 0.0)

    def frozen_at(self, epoch: int) -> tuple[str, ...]:
        if epoch < self.pretrain_epochs:
            return ("head",)
        return ("branches.0.trunk", "digits") if self.freeze else ("digits",)


class ConvBranch(nn.Module):
    """Branch from one image to a feature vector: convolution blocks and linear layers."""

    def __init__(self, config: ConvConfig):
        super().__init__()
        self.trunk = conv_trunk(config, 1, IMAGE_SIZE)
        num_inputs = trunk_features(self.trunk, (1, IMAGE_SIZE, IMAGE_SIZE))
        self.hidden = dense_layers(
            num_inputs,
            config.hidden_widths,
            activation=config.activation,
            dropout=config.dropout,
        )
        self.num_features = (num_inputs, *config.hidden_widths)[-1]

    def forward(self, image: Float[Tensor, "b 1 h w"]) -> Float[Tensor, "b features"]:
        return self.hidden(self.trunk(image).flatten(1))


class PerceptronBranch(nn.Module):
    """Branch from one image to a feature vector: linear layers."""

    def __init__(self, config: PerceptronConfig):
        super().__init__()
        self.hidden = dense_layers(
            IMAGE_SIZE**2,
            config.hidden_widths,
            activation=config.activation,
            dropout=config.dropout,
            dropout_first=config.dropout_first,
            batch_norm=config.batch_norm,
        )
        self.num_features = (IMAGE_SIZE**2, *config.hidden_widths)[-1]

    def forward(self, image: Float[Tensor, "*m b 1 h w"]) -> Float[Tensor, "*m b features"]:
        return self.hidden(image.flatten(-3))


def branch(config: ConvConfig | PerceptronConfig) -> ConvBranch | PerceptronBranch:
    """Make a branch of the kind that the configuration describes."""
    return ConvBranch(config) if isinstance(config, ConvConfig) else PerceptronBranch(config)


class SiameseNet(nn.Module):
    """Siamese network of two branches and a head; with `weight_sharing` both are one branch.

    A shared branch gets both images as one batch of twice the size, in a single call, so its
    batch-norm statistics cover the images of both sides.

    Raises:
        UserError: If `auxiliary` is set but the configuration has no digit scores, or the digit
            classifier is at the side but not trained, because `auxiliary` is not set.
    """

    takes_leading_axes = True

    def __init__(
        self,
        config: ConvSiameseConfig | PerceptronSiameseConfig,
        *,
        weight_sharing: bool,
        auxiliary: bool,
    ):
        super().__init__()
        if auxiliary and config.digits == "none":
            raise UserError.of("siamese.auxiliary-without-digits")
        if config.digits == "side" and not auxiliary:
            raise UserError.of("siamese.side-without-auxiliary")
        branches = [branch(config) for _ in range(1 if weight_sharing else 2)]
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
                config.head_widths,
                activation=config.activation,
                dropout=config.dropout if config.head_dropout else 0.0,
                batch_norm=config.head_batch_norm,
            ),
            nn.Linear((2 * features, *config.head_widths)[-1], config.outputs),
        )

    def forward(self, pair: Float[Tensor, "*m b 2 h w"]) -> Scores:
        features = each(self.branches, pair.unsqueeze(-3), side=-4)
        digits = None
        if self.digits is not None:
            digits = each(self.digits, features, side=-2)
            if self.squash:
                digits = digits.softmax(-1)
        if self.on_path and digits is not None:
            softmax = self.digit_softmax and not self.squash
            features = digits.softmax(-1) if softmax else digits
        comparison = self.head(features.flatten(-2))
        if self.squash:
            comparison = comparison.sigmoid()
        return Scores(comparison, digits if self.auxiliary else None)


def each(modules: nn.ModuleList, x: Float[Tensor, "..."], *, side: int) -> Float[Tensor, "..."]:
    """Apply one module to both sides in a single call, or one of two modules to each side.

    Args:
        modules: Modules from images or features to features, one for both sides or one per side.
        x: Images or features, (..., b, 2, *image or features); leading axes only if the modules
            support them.
        side: Axis of the two sides, counted from the end.

    Returns:
        Features, (..., b, 2, features).
    """
    if len(modules) == 1:
        return modules[0](x.flatten(side - 1, side)).unflatten(-2, (-1, 2))
    return torch.stack([module(x.select(side, i)) for i, module in enumerate(modules)], dim=-2)
