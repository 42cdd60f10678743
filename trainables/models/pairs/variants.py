"""Variants of the task `larger_digit`, on pairs of digits."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from trainables.config import TrialConfig
from trainables.data.augment import Elastic
from trainables.models.backprop import backprop_net
from trainables.models.pairs.backprop import PairBackpropConfig
from trainables.models.pairs.conv import ConvNet, PairConvConfig
from trainables.models.pairs.digit import DeepDigitConfig, DeepDigitNet, DigitConfig, DigitNet
from trainables.models.pairs.distance import DistanceConfig, DistanceNet
from trainables.models.pairs.perceptron import Perceptron, PerceptronConfig
from trainables.models.pairs.scores import IMAGE_SIZE
from trainables.models.pairs.siamese import (
    ConvSiameseConfig,
    PerceptronSiameseConfig,
    SiameseNet,
    TransferConfig,
)
from trainables.tasks.larger_digit import TASK, predict_by_names
from trainables.tasks.task import Shapes, Variant


def _build(model: Callable[[Any], Any], config: Any, shapes: Shapes | None = None) -> Any:
    return model(config)


def _variant(
    name: str,
    model: Callable[[Any], Any],
    config: type[TrialConfig],
    *,
    weight_sharing: bool = False,
    auxiliary: bool = False,
    **values: Any,
) -> Variant:
    """Make a variant whose network is built without shapes, because all pairs have the same."""
    tags = {"weight_sharing": weight_sharing, "auxiliary": auxiliary}
    return Variant(
        name=name,
        task=TASK,
        model=partial(_build, model),
        config=config,
        tags={key: str(value).lower() for key, value in tags.items()},
        **values,
    )


def _siamese(
    name: str, config: type[TrialConfig], *, weight_sharing: bool = False, auxiliary: bool = False
) -> Variant:
    model = partial(SiameseNet, weight_sharing=weight_sharing, auxiliary=auxiliary)
    return _variant(name, model, config, weight_sharing=weight_sharing, auxiliary=auxiliary)


MLP = _variant("mlp", Perceptron, PerceptronConfig)
MLP_SPLIT = _siamese("mlp_split", PerceptronSiameseConfig)
MLP_WS = _siamese("mlp_ws", PerceptronSiameseConfig, weight_sharing=True)
MLP_AUX = _siamese("mlp_aux", PerceptronSiameseConfig, auxiliary=True)
MLP_WS_AUX = _siamese("mlp_ws_aux", PerceptronSiameseConfig, weight_sharing=True, auxiliary=True)
CNN = _variant("cnn", ConvNet, PairConvConfig)
CNN_SPLIT = _siamese("cnn_split", ConvSiameseConfig)
CNN_WS = _siamese("cnn_ws", ConvSiameseConfig, weight_sharing=True)
CNN_AUX = _siamese("cnn_aux", ConvSiameseConfig, auxiliary=True)
CNN_WS_AUX = _siamese("cnn_ws_aux", ConvSiameseConfig, weight_sharing=True, auxiliary=True)
CNN_DISTANCE = _variant("cnn_distance", DistanceNet, DistanceConfig, weight_sharing=True)
CNN_TRANSFER = _siamese("cnn_transfer", TransferConfig, weight_sharing=True, auxiliary=True)
CNN_DIGIT = _variant(
    "cnn_digit",
    DigitNet,
    DigitConfig,
    weight_sharing=True,
    auxiliary=True,
    predict=predict_by_names,
)
CNN_DIGIT_DEEP = replace(
    CNN_DIGIT,
    name="cnn_digit_deep",
    task=replace(TASK, augment=Elastic(input="images", apart=True)),
    model=partial(_build, DeepDigitNet),
    config=DeepDigitConfig,
)
MLP_BACKPROP = _variant(
    "mlp_backprop", partial(backprop_net, num_inputs=2 * IMAGE_SIZE**2), PairBackpropConfig
)

PAIR_VARIANTS = (
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
    CNN_DIGIT_DEEP,
    MLP_BACKPROP,
)
"""Variants of the task `larger_digit`. In their names `ws` means weight sharing, `aux` auxiliary
digit losses, `split` two branches with neither; `backprop` is a network of `trainables.backprop`.
"""
