"""Learning curves: mean and standard deviation over rounds or folds, epoch by epoch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.load import Store, metric_history
from analysis.plots.style import HELD_OUT, TRAIN, grid_of_axes, whole_numbers
from analysis.results import Trial
from foldsweep import names as metrics

Quantity = Literal["loss", "accuracy"]
Over = Literal["rounds", "folds"]
HELD_OUT_PART: dict[Over, str] = {"rounds": "test", "folds": "validation"}
TRIAL_CURVES = {
    "train_loss": metrics.TRAIN_LOSS,
    "train_accuracy": metrics.TRAIN_ACCURACY,
    "loss": metrics.VAL_LOSS,
    "accuracy": metrics.VAL_ACCURACY,
}


@dataclass(frozen=True, kw_only=True)
class CurvesInfo:
    """Curves of one network over its rounds or folds.

    `mean` and `std` are by `loss`, `accuracy`, `train_loss` and `train_accuracy`.
    """

    name: str
    over: Over = "rounds"
    number: int
    """How many rounds or folds."""
    mean: Mapping[str, Float[np.ndarray, " epochs"]]
    std: Mapping[str, Float[np.ndarray, " epochs"]]


def curves_info(name: str, curves: Mapping[str, Sequence[Sequence[float]]]) -> CurvesInfo:
    """Summarise the curves of a row.

    Args:
        name: What the network is called in figures.
        curves: By metric, for each epoch a value of each round.
    """
    values = {key: np.asarray(rows, dtype=float) for key, rows in curves.items()}
    number = next(iter(values.values())).shape[1]
    return CurvesInfo(
        name=name,
        number=number,
        mean={key: v.mean(1) for key, v in values.items()},
        std={key: v.std(1, ddof=1 if number > 1 else 0) for key, v in values.items()},
    )


def trial_curves(
    store: Store, trial: Trial, *, name: str, keys: Mapping[str, str] = TRIAL_CURVES
) -> CurvesInfo | None:
    """The curves of a trial over its folds; None where MLflow does not have all of them.

    Args:
        store: Where the trial's run is.
        trial: A complete trial.
        name: What it is called in figures.
        keys: The metric behind each curve.
    """
    mean, std = {}, {}
    for key, metric in keys.items():
        if metric not in trial.values:
            return None
        points = metric_history(store, trial.run_id, metric)
        spread = metric_history(store, trial.run_id, metrics.std_key(metric))
        mean[key] = np.array(list(points.values()))
        std[key] = np.array([spread.get(epoch, 0.0) for epoch in points])
    if len({len(values) for values in mean.values()}) > 1:
        return None
    return CurvesInfo(name=name, over="folds", number=len(trial.folds), mean=mean, std=std)


def plot_one(info: CurvesInfo, quantity: Quantity) -> Figure:
    """Training and held-out curve of one network, mean ± std as a band."""
    figure = Figure(figsize=(5, 3.4), layout="constrained")
    axes = figure.subplots()
    _draw(axes, info, quantity)
    axes.set_title(f"{info.name}: {spread_of([info])}", fontsize=10)
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
    figure.supylabel(f"{_label(quantity)}\n{spread_of(infos)}", fontsize=10)
    return figure


def spread_of(infos: Sequence[CurvesInfo]) -> str:
    """What the bands are; without the number where that is not the same in all."""
    numbers = {info.number for info in infos}
    number = f"{numbers.pop()} " if len(numbers) == 1 else ""
    return f"mean ± std over {number}{' or '.join(sorted({info.over for info in infos}))}"


def _draw(axes: Axes, info: CurvesInfo, quantity: Quantity) -> None:
    parts = (
        (f"train_{quantity}", "training", TRAIN, "--"),
        (quantity, HELD_OUT_PART[info.over], HELD_OUT, "-"),
    )
    for key, label, colour, style in parts:
        draw_band(axes, info.mean[key], info.std[key], label=label, colour=colour, style=style)
    axes.set_xlabel("epoch")
    whole_numbers(axes)
    axes.grid(alpha=0.3)


def draw_band(
    axes: Axes,
    mean: Float[np.ndarray, " epochs"],
    std: Float[np.ndarray, " epochs"],
    *,
    label: str,
    colour: str,
    style: str = "-",
) -> None:
    """A curve over epochs with a band of one standard deviation either way."""
    epochs = np.arange(1, len(mean) + 1)
    axes.plot(epochs, mean, style, color=colour, label=label, linewidth=1.4)
    axes.fill_between(epochs, mean - std, mean + std, color=colour, alpha=0.25, linewidth=0)


def _limit(axes: Axes, quantity: Quantity) -> None:
    """No band beyond what an accuracy can be; once all is drawn, or the rest would be cut off."""
    if quantity == "accuracy":
        axes.set_ylim(top=1.0)


def _label(quantity: Quantity) -> str:
    return "loss" if quantity == "loss" else "accuracy (share of right answers)"
