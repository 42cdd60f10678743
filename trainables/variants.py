"""What gets compared: every variant by name.

A variant fixes the family, weight sharing and the auxiliary loss. What is compared is never tuned;
what is tuned is never a variant.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import nn

from foldsweep.errors import UserError
from trainables.backprop.sequential import Sequential
from trainables.config import TrialConfig
from trainables.models.backprop import BackpropConfig, backprop_net
from trainables.models.conv import IMAGE_SIZE, ConvNet, PairConvConfig
from trainables.models.digit import DigitConfig, DigitNet
from trainables.models.distance import DistanceConfig, DistanceNet
from trainables.models.perceptron import Perceptron, PerceptronConfig
from trainables.models.siamese import (
    ConvSiameseConfig,
    PerceptronSiameseConfig,
    SiameseNet,
    TransferConfig,
)


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A kind of network that is compared with others.

    `model` makes a network from a configuration of class `config`; the network maps images of
    shape (b, 2, 14, 14) to `Scores`, or is one of `trainables.backprop`. With `auxiliary` the
    scores hold digits, and these are trained on.
    """

    name: str
    model: Callable[[Any], nn.Module | Sequential]
    config: type[TrialConfig]
    weight_sharing: bool = False
    auxiliary: bool = False
    dataset: str | None = None
    """The one dataset that it is for; None for those of handwritten digits."""
    names_only: bool = False
    """The network names digits and compares nothing; its comparison is that of the two names."""


def _siamese(
    name: str, config: type[TrialConfig], *, weight_sharing: bool = False, auxiliary: bool = False
) -> Variant:
    model = partial(SiameseNet, weight_sharing=weight_sharing, auxiliary=auxiliary)
    return Variant(
        name=name,
        model=model,
        config=config,
        weight_sharing=weight_sharing,
        auxiliary=auxiliary,
    )


MLP = Variant(name="mlp", model=Perceptron, config=PerceptronConfig)
MLP_SPLIT = _siamese("mlp_split", PerceptronSiameseConfig)
MLP_WS = _siamese("mlp_ws", PerceptronSiameseConfig, weight_sharing=True)
MLP_AUX = _siamese("mlp_aux", PerceptronSiameseConfig, auxiliary=True)
MLP_WS_AUX = _siamese("mlp_ws_aux", PerceptronSiameseConfig, weight_sharing=True, auxiliary=True)
CNN = Variant(name="cnn", model=ConvNet, config=PairConvConfig)
CNN_SPLIT = _siamese("cnn_split", ConvSiameseConfig)
CNN_WS = _siamese("cnn_ws", ConvSiameseConfig, weight_sharing=True)
CNN_AUX = _siamese("cnn_aux", ConvSiameseConfig, auxiliary=True)
CNN_WS_AUX = _siamese("cnn_ws_aux", ConvSiameseConfig, weight_sharing=True, auxiliary=True)
CNN_DISTANCE = Variant(
    name="cnn_distance", model=DistanceNet, config=DistanceConfig, weight_sharing=True
)
CNN_TRANSFER = _siamese("cnn_transfer", TransferConfig, weight_sharing=True, auxiliary=True)
CNN_DIGIT = Variant(
    name="cnn_digit",
    model=DigitNet,
    config=DigitConfig,
    weight_sharing=True,
    auxiliary=True,
    names_only=True,
)

MLP_BACKPROP = Variant(
    name="mlp_backprop",
    model=partial(backprop_net, num_inputs=2 * IMAGE_SIZE**2),
    config=BackpropConfig,
)


def _disc(name: str) -> Variant:
    model = partial(backprop_net, num_inputs=2)
    return Variant(name=name, model=model, config=BackpropConfig, dataset="disc")


DISC_RELU = _disc("disc_relu")
DISC_LEAKY_RELU = _disc("disc_leaky_relu")
DISC_TANH = _disc("disc_tanh")
DISC_SIGMOID = _disc("disc_sigmoid")
DISC_RELU_SIGMOID = _disc("disc_relu_sigmoid")

VARIANTS: dict[str, Variant] = {
    v.name: v
    for v in (
        MLP,
        MLP_SPLIT,
        MLP_WS,
        MLP_AUX,
        MLP_WS_AUX,
        CNN,
        CNN_SPLIT,
        CNN_WS,
        CNN_AUX,
        CNN_WS_AUX,
        CNN_DISTANCE,
        CNN_TRANSFER,
        CNN_DIGIT,
        MLP_BACKPROP,
        DISC_RELU,
        DISC_LEAKY_RELU,
        DISC_TANH,
        DISC_SIGMOID,
        DISC_RELU_SIGMOID,
    )
}
"""`ws` shares weights, `aux` adds digit losses, `split` has two branches and neither of these.

Those that end in `backprop` or begin with `disc` are networks of `trainables.backprop`.
"""


def variant_named(name: str) -> Variant:
    """A variant of the registry.

    Raises:
        UserError: If there is none of this name.
    """
    if name not in VARIANTS:
        raise UserError(f"unknown variant {name!r}: known are {', '.join(VARIANTS)}")
    return VARIANTS[name]
