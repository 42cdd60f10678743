"""What gets compared: every variant by name.

A variant fixes the family, weight sharing and the auxiliary loss. What is compared is never tuned;
what is tuned is never a variant.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import nn

from trainables.config import TrialConfig
from trainables.models.conv import ConvConfig, ConvNet
from trainables.models.perceptron import Perceptron, PerceptronConfig
from trainables.models.siamese import SiameseConfig, SiameseNet


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A kind of network that is compared with others.

    `model` makes a network from a configuration of class `config`; the network maps images of
    shape (b, 2, 14, 14) to `Scores`. With `auxiliary` the scores hold digits, and these are
    trained on.
    """

    name: str
    model: Callable[[Any], nn.Module]
    config: type[TrialConfig]
    weight_sharing: bool = False
    auxiliary: bool = False


MLP = Variant(name="mlp", model=Perceptron, config=PerceptronConfig)
CNN = Variant(name="cnn", model=ConvNet, config=ConvConfig)
CNN_WS = Variant(
    name="cnn_ws",
    model=partial(SiameseNet, weight_sharing=True, auxiliary=False),
    config=SiameseConfig,
    weight_sharing=True,
)
CNN_AUX = Variant(
    name="cnn_aux",
    model=partial(SiameseNet, weight_sharing=True, auxiliary=True),
    config=SiameseConfig,
    weight_sharing=True,
    auxiliary=True,
)

VARIANTS: dict[str, Variant] = {v.name: v for v in (MLP, CNN, CNN_WS, CNN_AUX)}
