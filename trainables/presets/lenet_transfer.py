"""Report on LeNet-like nets, transfer learning and digit classification (no authors printed).

Adam with lr 0.001, 100 epochs, dropout 0.3 except for the perceptron; the same pairs for all
models and rounds; the 1000 test pairs are split into 500 for validation and 500 for test; 15
rounds.
"""

from dataclasses import replace

from trainables.presets.preset import Measurement, Preset, Protocol, Reported, choice

_ROUNDS = Protocol(kind="rounds", count=15, fresh_data=False, test_from=500)
_ORDER = "batch size and order are open: 100, the same order in each epoch"
_IMAGES = "batches of 50 pairs, which are 100 images, in the same order in each epoch"

_ADAM = {"lr": 0.001, "batch_size": 100, "epochs": 100, "shuffle": False}
_LENET = {
    **_ADAM,
    "channels": 32,
    "conv_layers": 2,
    "kernel": 3,
    "channel_dropout": True,
    "hidden": (120, 84),
    "dropout": 0.3,
}
_SIAMESE = {**_LENET, "head_hidden": (20,)}


def _row(
    name: str,
    variant: str,
    config: dict,
    note: str,
    params: int,
    accuracy: float,
    *,
    curves: bool = False,
) -> Preset:
    protocol = replace(_ROUNDS, curves=curves)
    reported = Reported(accuracy=accuracy, params=params)
    return Preset(
        name=f"lenet_transfer/{name}",
        variant=variant,
        config=config,
        measurements=(
            Measurement(table="lenet_transfer/table1", protocol=protocol, reported=reported),
        ),
        params=params,
        note=note,
    )


_PRESETS = (
    _row(
        "baseline",
        "mlp",
        {**_ADAM, "hidden": (264, 120, 84, 10), "dropout": 0.0},
        _ORDER,
        146_588,
        0.81,
    ),
    _row("cnn", "cnn", _LENET, _ORDER, 60_278, 0.80),
    _row("weight_sharing", "cnn_ws", _SIAMESE, _ORDER, 63_242, 0.85),
    _row(
        "auxiliary",
        "cnn_ws_aux",
        {**_SIAMESE, "digits": "side", "aux_weight": 1.0, "aux_schedule": "linear"},
        _ORDER,
        64_092,
        0.90,
        curves=True,  # the report plots both parts of the loss
    ),
    _row(
        "transfer",
        "cnn_transfer",
        {**_SIAMESE, "batch_size": 50},
        f"{_IMAGES}; convolutions frozen in the second half",
        64_092,
        0.94,
    ),
    _row("digit", "cnn_digit", {**_LENET, "batch_size": 50}, _IMAGES, 60_670, 0.96),
)

_BY_NAME = {preset.name.partition("/")[2]: preset for preset in _PRESETS}
PRESETS = (
    *_PRESETS,
    choice(_BY_NAME["baseline"], "batch_25", batch_size=25),
    choice(_BY_NAME["baseline"], "shuffled", shuffle=True),
)
