"""Gervaise, Kobayashi and Topak (2020): perceptrons and convolutional nets.

Each with weight sharing, auxiliary digit losses, both or neither.

Adam, batches of 64, 50 epochs, batch-norm before every activation; learning rate and weight decay
from a grid, 3 folds; 10 rounds.
"""

from itertools import product

from trainables.presets.preset import (
    Grid,
    Measurement,
    Preset,
    Protocol,
    Reported,
    choice,
)

_TABLE = "gervaise2020/table1"
_ROUNDS = Protocol(kind="rounds", count=10, curves=True)
_NOTE = (
    "widths, kernels and loss weights are open: 128 and 64 units, or 32 and 64 channels of 3x3;"
)
_NOTE += " 64 units in the head; all losses weigh 1"

_ADAM = {"lr": 0.005, "weight_decay": 0.0, "batch_size": 64, "epochs": 50, "dropout": 0.0}
_HEAD = {"digits": "path", "head_hidden": 64, "head_batch_norm": True}
_BRANCH = {
    "fnn": {"hidden": (128, 64), "batch_norm": True},
    "cnn": {
        "channels": 32,
        "conv_layers": 2,
        "kernel": 3,
        "batch_norm": "before",
        "hidden_layers": 0,
    },
}
_VARIANT = {"": "split", "_ws": "ws", "_aux": "aux", "_ws_aux": "ws_aux"}
_REPORTED = {
    "fnn": ((78.2, 1.5, 9.3), (77.4, 2.4, 8.4), (93.8, 1.2, 10.7), (94.8, 1.6, 10.3)),
    "cnn": ((79.7, 2.0, 44.3), (82.1, 1.3, 43.7), (94.5, 0.9, 45.8), (94.7, 1.1, 45.9)),
}
_CELLS = [
    (f"{branch}{suffix}", branch, suffix, _REPORTED[branch][i])
    for branch, (i, suffix) in product(_BRANCH, enumerate(_VARIANT))
]

_PRESETS = tuple(
    Preset(
        name=f"gervaise2020/{row}",
        variant=f"{'mlp' if branch == 'fnn' else 'cnn'}_{_VARIANT[suffix]}",
        config={
            **_ADAM,
            **_BRANCH[branch],
            **_HEAD,
            "aux_weight": 1.0 if "aux" in suffix else 0.0,
        },
        measurements=(
            Measurement(
                table=_TABLE,
                protocol=_ROUNDS,
                reported=Reported(accuracy=percent / 100, std=std / 100, time_s=time_s),
            ),
        ),
        tuned_by=f"gervaise2020/grid_{row}",
        note=_NOTE,
    )
    for row, branch, suffix, (percent, std, time_s) in _CELLS
)

_BY_NAME = {preset.name.partition("/")[2]: preset for preset in _PRESETS}
_CHOICES = (
    choice(_BY_NAME["fnn_ws_aux"], "half_width", hidden=(64, 32)),
    choice(_BY_NAME["fnn_ws_aux"], "double_width", hidden=(256, 128)),
    choice(_BY_NAME["fnn_ws_aux"], "half_digit_loss", aux_weight=0.5),
)

# The second project: a library without autograd, on points inside and outside a disc. The report
# compares activations; it prints neither its grid nor its figures.
_PROJECT2 = "gervaise2020/project2"
_DISC = {
    "hidden": 25,
    "hidden_layers": 3,
    "lr": 0.2,
    "weight_decay": 0.0,
    "batch_size": 20,
    "epochs": 150,
}
_DISC_NOTE = "grid, batch size and the models compared are open"
DISC = {
    "disc_relu": {"activation": "relu"},
    "disc_leaky_relu": {"activation": "leaky_relu"},
    "disc_tanh": {"activation": "tanh"},
    "disc_sigmoid": {"activation": "sigmoid"},
    "disc_relu_sigmoid": {"activation": "relu", "output_activation": "sigmoid"},
}
"""Activations of each compared model."""
DISC_AXES = {
    "epochs": (50, 150),
    "weight_decay": (0.0, 1e-4),
    "lr": (0.05, 0.2, 1.0),
    "schedule": ("constant", "exponential", "time", "step"),
    "criterion": ("cross_entropy", "mse"),
}

_DISC_PRESETS = tuple(
    Preset(
        name=f"gervaise2020/{name}",
        variant=name,
        config={**_DISC, **model, "schedule_rate": 0.01},
        measurements=(Measurement(table=_PROJECT2, protocol=_ROUNDS),),
        params=1_427,
        tuned_by=f"gervaise2020/grid_{name}",
        note=_DISC_NOTE,
    )
    for name, model in DISC.items()
)

# The same perceptron on pairs of digits, with this library and with PyTorch.
_PAIRS = {"hidden": 64, "hidden_layers": 1, "batch_size": 50, "epochs": 40}
_PAIRS_PRESETS = (
    Preset(
        name="gervaise2020/pairs_backprop",
        variant="mlp_backprop",
        config={**_PAIRS, "lr": 0.0005, "optimiser": "rmsprop"},
        measurements=(Measurement(table="gervaise2020/pairs", protocol=_ROUNDS),),
        params=25_282,
        note="not in the report: pairs of digits by the library without autograd, RMSProp",
    ),
    Preset(
        name="gervaise2020/pairs_torch",
        variant="mlp",
        config={**_PAIRS, "lr": 0.001},
        measurements=(Measurement(table="gervaise2020/pairs", protocol=_ROUNDS),),
        params=25_282,
        note="the same network by torch, Adam",
    ),
)

PRESETS = (*_PRESETS, *_CHOICES, *_DISC_PRESETS, *_PAIRS_PRESETS)

_GRIDS = tuple(
    Grid(
        name=f"gervaise2020/grid_{row}",
        table="gervaise2020/grid",
        base=f"gervaise2020/{row}",
        axes={
            "lr": tuple(round(0.001 * i, 3) for i in range(1, 16)),
            "weight_decay": (0.0, 0.1, 0.01, 0.001),
        },
        folds=3,
        prunes=True,
    )
    for row, *_ in _CELLS
)
GRIDS = (
    *_GRIDS,
    *(
        Grid(
            name=f"gervaise2020/grid_{name}",
            table=_PROJECT2,
            base=f"gervaise2020/{name}",
            axes=DISC_AXES,
            folds=5,
            prunes=True,
        )
        for name in DISC
    ),
)
