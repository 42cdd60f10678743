"""Chahed, Karray and Hammami: a basic net and configurable Siamese nets.

Adam with lr 0.001, multiplied by 0.9 after each epoch, batches of 5, 20 epochs, dropout 0.2,
LeakyReLU, binary cross-entropy; 10 rounds. The report's alpha is the share of the comparison loss,
1 - `aux_alpha`.
"""

from trainables.presets.preset import (
    Grid,
    Measurement,
    Preset,
    Protocol,
    Reported,
    choice,
)

_ROUNDS = Protocol(kind="rounds", count=10)
_HEAD_OPEN = "the head of the first comparison is open: two layers of 512, see the choices"

_ADAM = {
    "lr": 0.001,
    "lr_decay": 0.9,
    "batch_size": 5,
    "epochs": 20,
    "dropout": 0.2,
    "activation": "leaky_relu",
    "outputs": 1,
}
_HEAD = {
    "digits": "path",
    "digit_softmax": False,
    "head_hidden": 512,
    "head_hidden_layers": 2,
    "head_dropout": True,
}
_BRANCH = {
    "fcn": {"hidden": 64, "hidden_layers": 1},
    "cnn": {
        "channels": 4,
        "conv_layers": 2,
        "kernel": 3,
        "pooled": 1,
        "hidden": 64,
        "hidden_layers": 1,
    },
}
_VARIANT = {"": "split", "_aux": "aux", "_ws": "ws", "_ws_aux": "ws_aux"}
_REPORTED = {
    "fcn": ((0.828, 0.006), (0.870, 0.007), (0.851, 0.008), (0.892, 0.006)),
    "cnn": ((0.833, 0.158), (0.882, 0.011), (0.864, 0.006), (0.902, 0.013)),
}
_BEST_FCN = {"hidden_layers": 2, "hidden": 128}
_BEST_CNN = {"hidden_layers": 2, "hidden": 512}
_BEST_BLOCKS = {"channels": 24, "kernel": 3}
_HEAD_FCN = {"head_hidden_layers": 2, "head_hidden": 256}
_HEAD_CNN = {"head_hidden_layers": 2, "head_hidden": 512}


def _siamese(branch: str, suffix: str) -> dict:
    aux = {"aux_alpha": 0.5} if "aux" in suffix else {}
    return {**_ADAM, **_BRANCH[branch], **_HEAD, **aux}


def _variant(branch: str, suffix: str) -> str:
    return f"{'mlp' if branch == 'fcn' else 'cnn'}_{_VARIANT[suffix]}"


def _in(table: str, accuracy: float, std: float | None) -> tuple[Measurement, ...]:
    reported = Reported(accuracy=accuracy, std=std)
    return (Measurement(table=f"chahed/{table}", protocol=_ROUNDS, reported=reported),)


_PRESETS = (
    Preset(
        name="chahed/basic",
        variant="mlp",
        config={**_ADAM, "hidden": 512},
        measurements=_in("basic_net", 0.714, 0.014),
        params=201_729,
    ),
    *(
        Preset(
            name=f"chahed/{branch}{suffix}",
            variant=_variant(branch, suffix),
            config=_siamese(branch, suffix),
            measurements=_in("table2", *_REPORTED[branch][i]),
            params={"fcn": 13_258, "cnn": 9_242}[branch] * (1 if "ws" in suffix else 2) + 273_921,
            note=_HEAD_OPEN
            + (
                "; the printed std of 0.158 is taken as it is" if (branch, i) == ("cnn", 0) else ""
            ),
        )
        for branch in _BRANCH
        for i, suffix in enumerate(_VARIANT)
    ),
    Preset(
        name="chahed/final_fcn",
        variant="mlp_ws_aux",
        config={**_siamese("fcn", "_ws_aux"), **_BEST_FCN, **_HEAD_FCN, "aux_alpha": 1 - 1 / 9},
        measurements=_in("final", 0.9282, None),
        params=114_443,
        note="alpha 0.11 is taken as 1/9; the report's score is its grid's best on test pairs",
    ),
    Preset(
        name="chahed/final_cnn",
        variant="cnn_ws_aux",
        config={
            **_siamese("cnn", "_ws_aux"),
            **_BEST_CNN,
            **_BEST_BLOCKS,
            **_HEAD_CNN,
            "aux_alpha": 1 - 4 / 9,
        },
        measurements=_in("final", 0.9721, None),
        params=946_091,
        note="alpha 0.44 is taken as 4/9; the report's score is its grid's best on test pairs",
    ),
)

_BY_NAME = {preset.name.partition("/")[2]: preset for preset in _PRESETS}
PRESETS = (
    *_PRESETS,
    *(
        choice(_BY_NAME[row], "head_64", head_hidden=64, head_hidden_layers=1)
        for row in ("fcn", "fcn_aux", "fcn_ws", "fcn_ws_aux", "cnn_ws_aux")
    ),
    choice(_BY_NAME["fcn_ws_aux"], "softmax", digit_softmax=True),
)

_WIDTHS = (32, 64, 128, 256, 512)
_HIDDEN = {"hidden_layers": (1, 2), "hidden": _WIDTHS}
_HEADS = {"head_hidden_layers": (1, 2), "head_hidden": _WIDTHS}
_ALPHAS = {"aux_alpha": tuple(1 - i / 9 for i in range(10))}


def _chain(branch: str, table: str, groups: tuple[tuple, ...]) -> tuple[Grid, ...]:
    """Grids of a group-wise search: each group starts from the best values of earlier groups."""
    grids: list[Grid] = []
    values: dict = {}
    for group, axes, best, score in groups:
        grids.append(
            Grid(
                name=f"chahed/{branch}_{group}",
                table=f"chahed/{table}",
                base=f"chahed/{branch}_ws_aux",
                axes=axes,
                folds=4,
                prunes=True,
                values=values,
                after=grids[-1].name if grids else None,
                best=best,
                score=score,
            )
        )
        values = {**values, **best}
    return tuple(grids)


GRIDS = (
    *_chain(
        "fcn",
        "table3",
        (
            ("hidden", _HIDDEN, _BEST_FCN, 0.9105),
            ("head", _HEADS, _HEAD_FCN, 0.9205),
            ("alpha", _ALPHAS, {"aux_alpha": 1 - 1 / 9}, 0.9282),
        ),
    ),
    *_chain(
        "cnn",
        "table4",
        (
            ("hidden", _HIDDEN, _BEST_CNN, 0.9298),
            ("blocks", {"channels": (4, 8, 16, 24, 48), "kernel": (3, 5)}, _BEST_BLOCKS, 0.9638),
            ("head", _HEADS, _HEAD_CNN, 0.9676),
            ("alpha", _ALPHAS, {"aux_alpha": 1 - 4 / 9}, 0.9721),
        ),
    ),
)
