"""Rows of the reports' tables: full configurations as the reports have them.

`report/row` names a row. Where a report leaves something open the choice is said beside it. In a
sweep all settings train for the sweep's number of epochs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A variant with the full configuration of one table row."""

    name: str
    variant: str
    config: Mapping[str, Any]


# Aguet, Sepehri and Nobar (2019): Adam with lr 0.005, batches of 100, dropout 0.4, sigmoid or
# softmax outputs into the cross-entropy; 100 epochs for the shallow and 200 for the deep networks.
_AGUET = {"lr": 0.005, "batch_size": 100, "dropout": 0.4, "squash": True}
_AGUET_DEEP = {
    **_AGUET,
    "epochs": 200,
    "channels": 32,
    "conv_layers": 2,
    "kernel": 5,
    "padding": 1,
    "batch_norm": "before",
    "hidden": 64,
    "hidden_layers": 1,
}

_ROWS = (
    Preset(
        name="aguet2019/fc_dropout",
        variant="mlp",
        config={**_AGUET, "epochs": 100, "hidden": 32, "hidden_layers": 1, "dropout_first": True},
    ),
    Preset(name="aguet2019/deep_cnn", variant="cnn", config=_AGUET_DEEP),
    Preset(
        name="aguet2019/auxiliary",
        variant="cnn_aux",
        config={**_AGUET_DEEP, "digits": "path", "digit_softmax": True, "aux_alpha": 0.4},
    ),
    # The report does not give the batch size.
    Preset(
        name="lenet_transfer/weight_sharing",
        variant="cnn_ws",
        config={
            "lr": 0.001,
            "batch_size": 100,
            "epochs": 100,
            "channels": 32,
            "conv_layers": 2,
            "kernel": 3,
            "channel_dropout": True,
            "hidden": (120, 84),
            "dropout": 0.3,
            "head_hidden": (20,),
        },
    ),
)

PRESETS: dict[str, Preset] = {preset.name: preset for preset in _ROWS}
