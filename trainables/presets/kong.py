"""Kong, Wu and Phan: baselines, weight sharing, auxiliary loss.

Adam with lr 0.001, 25 epochs, binary cross-entropy; 4 folds while tuning, 10 rounds of fresh data
for the main table. The report does not mention batch-norm, but its numbers of parameters imply it.
"""

from trainables.presets.preset import (
    Grid,
    Measurement,
    Preset,
    Protocol,
    Reported,
    choice,
)

_FOLDS = Protocol(kind="folds", count=4)
_ROUNDS = Protocol(kind="rounds", count=10)
_BATCH = "the batch size is open: 5"
_BN = "batch-norm as the number of parameters needs it; the batch size is open: 5"
_NO_BN = "no batch-norm, as the number of parameters needs it; the batch size is open: 5"

_ADAM = {"lr": 0.001, "batch_size": 5, "epochs": 25, "dropout": 0.0, "outputs": 1}
_PLAIN = {
    **_ADAM,
    "channels": (32, 64, 128),
    "kernel": 3,
    "padding": 1,
    "hidden": (),
}
_TRUNK = {**_PLAIN, "batch_norm": "after"}
_HEAD = {"head_hidden": (128, 128)}
_AUX = {**_HEAD, "digits": "side", "digit_hidden": (64, 64), "main_weight": 0.5, "aux_weight": 1.0}
_DROPOUT = {"dropout": 0.4, "dropout_blocks": "last", "channel_dropout": True}


def _pure(channels: tuple[int, ...], kernel: tuple[int, ...], output: int, norm: str) -> dict:
    """Configuration of convolutions without linear layers; only the first block is pooled."""
    return {
        **_ADAM,
        "channels": channels,
        "kernel": kernel,
        "pooled": 1,
        "batch_norm": norm,
        "hidden": (),
        "output_kernel": output,
    }


def _baseline(
    name: str, variant: str, config: dict, params: int, accuracy: float, std: float, note: str
) -> Preset:
    """A row of table I."""
    reported = Reported(accuracy=accuracy, std=std, params=params)
    return Preset(
        name=f"kong/{name}",
        variant=variant,
        config=config,
        measurements=(Measurement(table="kong/table1", protocol=_FOLDS, reported=reported),),
        params=params,
        note=note,
    )


def _main(
    name: str,
    variant: str,
    config: dict,
    params: int,
    reported: Reported,
    note: str,
    *others: Measurement,
) -> Preset:
    """A row of table III."""
    return Preset(
        name=f"kong/{name}",
        variant=variant,
        config=config,
        measurements=(
            *others,
            Measurement(table="kong/table3", protocol=_ROUNDS, reported=reported),
        ),
        params=params,
        note=note,
    )


_CNN_BASE = Reported(accuracy=0.826, std=0.011, params=105_889)
_A_W_NET = Reported(accuracy=0.936, std=0.0019, params=155_275)
_FINAL = Reported(accuracy=0.952, std=0.007, params=155_275)
_RATIOS = {
    2.0: (0.910, 0.005),
    1.5: (0.907, 0.007),
    1.0: (0.913, 0.011),
    0.5: (0.936, 0.0019),
    0.1: (0.904, 0.009),
}

_PRESETS = (
    _baseline("fc_1", "mlp", {**_ADAM, "hidden": (196, 98)}, 96_433, 0.765, 0.007, _BATCH),
    _baseline(
        "fc_2", "mlp", {**_ADAM, "hidden": (196, 196, 98, 98)}, 144_747, 0.763, 0.004, _BATCH
    ),
    _baseline("fc_3", "mlp", {**_ADAM, "hidden": (784, 784)}, 924_337, 0.811, 0.003, _BATCH),
    _baseline(
        "conv_1",
        "cnn",
        _pure((10, 20), (5, 3), 3, "after"),
        2_571,
        0.785,
        0.010,
        f"kernels 5, 3, 3 as the number of parameters needs them; {_BN}",
    ),
    _baseline(
        "conv_2",
        "cnn",
        _pure((50, 100), (5, 3), 3, "after"),
        48_851,
        0.801,
        0.009,
        f"50 and 100 channels, kernels 5, 3, 3 as the number of parameters needs them; {_BN}",
    ),
    _baseline(
        "conv_3", "cnn", _pure((10, 20, 40), (3, 3, 3), 2, "none"), 9_411, 0.804, 0.006, _BATCH
    ),
    Preset(
        name="kong/conv_1_printed",
        variant="cnn",
        config=_pure((10, 20), (3, 3), 3, "none"),
        measurements=(Measurement(table="kong/table1", protocol=_FOLDS),),
        params=2_191,
        note="as printed, which is not what was counted; the 2x2 outputs are averaged",
    ),
    Preset(
        name="kong/conv_2_printed",
        variant="cnn",
        config=_pure((32, 64), (3, 3), 3, "none"),
        measurements=(Measurement(table="kong/table1", protocol=_FOLDS),),
        params=19_681,
        note="as printed, which is not what was counted; the 2x2 outputs are averaged",
    ),
    _main(
        "cnn_base",
        "cnn",
        {**_TRUNK, "hidden": (64, 64)},
        105_889,
        _CNN_BASE,
        _BN,
        Measurement(table="kong/table1", protocol=_FOLDS, reported=_CNN_BASE),
    ),
    _main(
        "no_w_net",
        "cnn_split",
        {**_TRUNK, **_HEAD},
        235_777,
        Reported(accuracy=0.847, std=0.009, params=235_777),
        _BN,
    ),
    _main(
        "w_net",
        "cnn_ws",
        {**_TRUNK, **_HEAD},
        142_657,
        Reported(accuracy=0.874, std=0.006, params=142_658),
        f"142,658 is printed: one more than any such net has; {_BN}",
    ),
    _main(
        "a_net",
        "cnn_aux",
        {**_TRUNK, **_AUX},
        248_843,
        Reported(accuracy=0.913, std=0.010, params=248_843),
        f"loss ratio open: 0.5; {_BN}",
    ),
    _main("a_w_net", "cnn_ws_aux", {**_PLAIN, **_AUX}, 155_275, _A_W_NET, _NO_BN),
    _main(
        "a_w_net_bn",
        "cnn_ws_aux",
        {**_TRUNK, **_AUX},
        155_723,
        Reported(accuracy=0.936, std=0.0019),
        f"the same with batch-norm; {_BATCH}",
    ),
    _main(
        "final_model",
        "cnn_ws_aux",
        {**_PLAIN, **_AUX, **_DROPOUT},
        155_275,
        _FINAL,
        f"channels dropped after the last block; {_NO_BN}",
    ),
    _main(
        "final_model_bn",
        "cnn_ws_aux",
        {**_TRUNK, **_AUX, **_DROPOUT},
        155_723,
        Reported(accuracy=0.952, std=0.007),
        f"the same with batch-norm; {_BATCH}",
    ),
    *(
        Preset(
            name=f"kong/loss_ratio_{ratio:g}",
            variant="cnn_ws_aux",
            config={**_PLAIN, **_AUX, "main_weight": ratio},
            measurements=(
                Measurement(
                    table="kong/table2",
                    protocol=_FOLDS,
                    reported=Reported(accuracy=accuracy, std=std),
                ),
            ),
            params=155_275,
            note=_NO_BN,
        )
        for ratio, (accuracy, std) in _RATIOS.items()
    ),
)

_BY_NAME = {preset.name.partition("/")[2]: preset for preset in _PRESETS}
PRESETS = (
    *_PRESETS,
    choice(_BY_NAME["conv_1"], "batch_25", batch_size=25),
    choice(_BY_NAME["fc_1"], "batch_25", batch_size=25),
)

GRIDS = (
    Grid(
        name="kong/loss_ratio",
        table=None,  # its points are the rows of table II
        base="kong/a_w_net",
        axes={"main_weight": tuple(_RATIOS)},
        folds=4,
        best={"main_weight": 0.5},
        score=0.936,
    ),
    Grid(
        name="kong/dropout",
        table="kong/dropout",
        base="kong/final_model",
        axes={"dropout": (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)},
        folds=4,
        prunes=True,
        best={"dropout": 0.4},
    ),
)
