"""Learning curves: mean and standard deviation over rounds or folds, epoch by epoch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.style import HELD_OUT, TRAIN, grid_of_axes

Quantity = Literal["loss", "accuracy"]
_PARTS = (("train_{}", "training", TRAIN), ("{}", "test", HELD_OUT))


@dataclass(frozen=True, kw_only=True)
class CurvesInfo:
    """Curves of one network over its rounds.

    `mean` and `std` are by `loss`, `accuracy`, `train_loss` and `train_accuracy`.
    """

    name: str
    rounds: int
    mean: Mapping[str, Float[np.ndarray, " epochs"]]
    std: Mapping[str, Float[np.ndarray, " epochs"]]


def curves_info(name: str, curves: Mapping[str, Sequence[Sequence[float]]]) -> CurvesInfo:
    """Summarise the curves of a row.

    Args:
        name: What the network is called in figures.
        curves: By metric, for each epoch a value of each round.
    """
    values = {key: np.asarray(rows, dtype=float) for key, rows in curves.items()}
    rounds = next(iter(values.values())).shape[1]
    return CurvesInfo(
        name=name,
        rounds=rounds,
        mean={key: v.mean(1) for key, v in values.items()},
        std={key: v.std(1, ddof=1 if rounds > 1 else 0) for key, v in values.items()},
    )


def plot_one(info: CurvesInfo, quantity: Quantity) -> Figure:
    """Training and test curve of one network, mean ± std as a band."""
    figure = Figure(figsize=(5, 3.4), layout="constrained")
    axes = figure.subplots()
    _draw(axes, info, quantity)
    axes.set_title(f"{info.name}: mean ± std over {info.rounds} rounds", fontsize=10)
    axes.set_ylabel(_label(quantity))
    _limit(axes, quantity)
    axes.legend(frameon=False)
    return figure


def plot_all(infos: Sequence[CurvesInfo], quantity: Quantity) -> Figure:
    """A panel for each network, on common axes."""
    figure, panels = grid_of_axes(len(infos), share=True)
    for i, (axes, info) in enumerate(zip(panels, infos, strict=True)):
        _draw(axes, info, quantity)
        axes.set_title(info.name, fontsize=10)
        if i == 0:
            axes.legend(frameon=False, fontsize=8)
    _limit(panels[0], quantity)
    figure.supylabel(f"{_label(quantity)}, mean ± std over {infos[0].rounds} rounds", fontsize=10)
    return figure


def _draw(axes: Axes, info: CurvesInfo, quantity: Quantity) -> None:
    for key, label, colour in _PARTS:
        mean, std = info.mean[key.format(quantity)], info.std[key.format(quantity)]
        epochs = np.arange(1, len(mean) + 1)
        axes.plot(epochs, mean, color=colour, label=label, linewidth=1.4)
        axes.fill_between(epochs, mean - std, mean + std, color=colour, alpha=0.25, linewidth=0)
    axes.set_xlabel("epoch")
    axes.grid(alpha=0.3)


def _limit(axes: Axes, quantity: Quantity) -> None:
    """No band beyond what an accuracy can be; once all is drawn, or the rest would be cut off."""
    if quantity == "accuracy":
        axes.set_ylim(top=1.0)


def _label(quantity: Quantity) -> str:
    return "loss" if quantity == "loss" else "accuracy (share of right answers)"
