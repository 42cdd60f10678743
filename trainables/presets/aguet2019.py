"""Aguet, Sepehri and Nobar (2019): perceptron, convolutional nets, auxiliary loss.

Adam with lr 0.005, batches of 100, dropout 0.4, sigmoid or softmax outputs before the
cross-entropy; 200 of 1000 training pairs held back; 10 runs. Rows named `_logits` have no sigmoid
or softmax there.
"""

from trainables.presets.preset import (
    Grid,
    Measurement,
    Preset,
    Protocol,
    Reported,
    choice,
)

_TABLE = "aguet2019/table5"
_ROUNDS = Protocol(kind="rounds", count=10, held_back=200)
_NOTE = "which models had 100 and which 200 epochs is open: 100 for FC and CNN, 200 for the others"

_ADAM = {"lr": 0.005, "batch_size": 100}
_FC = {**_ADAM, "epochs": 100, "hidden": 32, "dropout": 0.0}
_CONV = {
    **_ADAM,
    "dropout": 0.4,
    "channels": 32,
    "kernel": 5,
    "padding": 1,
    "hidden": 64,
}
_DEEP = {**_CONV, "epochs": 200, "conv_layers": 2, "batch_norm": "before"}
_ROWS = (
    ("fc", "mlp", _FC, 12_642, Reported(accuracy=0.7401, std=0.0141, train_accuracy=0.9500)),
    (
        "fc_dropout",
        "mlp",
        {**_FC, "dropout": 0.4, "dropout_first": True},
        12_642,
        Reported(accuracy=0.7642, std=0.0112, train_accuracy=0.9612),
    ),
    (
        "cnn",
        "cnn",
        {**_CONV, "epochs": 100, "conv_layers": 1},
        75_554,
        Reported(accuracy=0.8251, std=0.0091, train_accuracy=0.9881),
    ),
    (
        "deep_cnn",
        "cnn",
        _DEEP,
        69_666,
        Reported(accuracy=0.8301, std=0.0136, train_accuracy=0.99),
    ),
    (
        "auxiliary",
        "cnn_ws_aux",
        {**_DEEP, "digits": "path", "aux_alpha": 0.4},
        69_428,
        Reported(accuracy=0.9558, std=0.0111, train_accuracy=0.9869),
    ),
)

_PRESETS = (
    *(
        Preset(
            name=f"aguet2019/{row}",
            variant=variant,
            config={**config, "squash": True},
            measurements=(Measurement(table=_TABLE, protocol=_ROUNDS, reported=reported),),
            params=params,
            note=_NOTE,
        )
        for row, variant, config, params, reported in _ROWS
    ),
    *(
        Preset(
            name=f"aguet2019/{row}_logits",
            variant=variant,
            config=config,
            measurements=(Measurement(table=_TABLE, protocol=_ROUNDS),),
            params=params,
            note="not in the report: scores into the cross-entropy as they are",
        )
        for row, variant, config, params, _ in _ROWS
    ),
    Preset(
        name="aguet2019/siamese",
        variant="cnn_distance",
        config={**_DEEP, "epochs": 100},
        measurements=(Measurement(table=_TABLE, protocol=_ROUNDS),),
        note="the report gives no layers and no figures: directed distance, contrastive loss",
    ),
    Preset(
        name="aguet2019/siamese_logistic",
        variant="cnn_distance",
        config={**_DEEP, "epochs": 100, "distance_loss": "logistic"},
        measurements=(Measurement(table=_TABLE, protocol=_ROUNDS),),
        note="the same with a logistic loss",
    ),
)

_BY_NAME = {preset.name.partition("/")[2]: preset for preset in _PRESETS}
PRESETS = (
    *_PRESETS,
    choice(_BY_NAME["fc"], "200_epochs", epochs=200),
    choice(_BY_NAME["fc_dropout"], "same_data", fresh_data=False),
)

GRIDS = tuple(
    Grid(
        name=f"aguet2019/sweep_{row}",
        # the report chose one learning rate and batch size for all models, so the table has only
        # the grid of the cheapest model
        table="aguet2019/sweep" if row == "fc_dropout" else None,
        base=f"aguet2019/{row}",
        axes={"lr": (1e-4, 5e-4, 1e-3, 5e-3, 1e-2), "batch_size": (10, 50, 100, 200)},
        folds=5,
        best={"lr": 0.005, "batch_size": 100},
        prunes=True,
    )
    for row, *_ in _ROWS
)
