"""Learning curves: mean and standard deviation over rounds or folds, epoch by epoch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.load import Store, metric_history
from analysis.plots.style import HELD_OUT, TRAIN, grid_of_axes, whole_numbers
from analysis.results import Trial
from foldsweep import names

Over = Literal["rounds", "folds"]
HELD_OUT_PART: dict[Over, str] = {"rounds": "test", "folds": "validation"}
LEAST_POINTS = 2
"""Smallest number of points of a curve."""


@dataclass(frozen=True, kw_only=True)
class CurvesInfo:
    """Curves of one variant over its rounds or folds, by quantity.

    A quantity such as `loss` is measured on held-out rows, `train_loss` on training rows.
    """

    name: str
    over: Over = "rounds"
    number: int
    """Number of rounds or folds."""
    mean: Mapping[str, Float[np.ndarray, " points"]]
    std: Mapping[str, Float[np.ndarray, " points"]]
    epochs: Mapping[str, Int[np.ndarray, " points"]] = field(default_factory=dict)
    """Epoch of each point; a quantity without an entry has one point per epoch."""
    unit: str = "epoch"
    """Unit of the horizontal axis."""

    def epochs_of(self, key: str) -> Int[np.ndarray, " points"]:
        """Epoch of each point of a curve."""
        return self.epochs.get(key, np.arange(1, len(self.mean[key]) + 1))


def curves_info(name: str, curves: Mapping[str, Sequence[Sequence[float]]]) -> CurvesInfo:
    """Summarise the curves of a row.

    Args:
        name: Name of the network in figures.
        curves: For each metric, by epoch, the values of all rounds.
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
    store: Store, trial: Trial, *, name: str, keys: Mapping[str, str]
) -> CurvesInfo | None:
    """The curves of a trial over its folds; None if MLflow lacks one of the metrics.

    Args:
        store: Store of the trial's run.
        trial: A complete trial.
        name: Name of the trial in figures.
        keys: Key of the metric of each curve.
    """
    mean, std, epochs = {}, {}, {}
    for key, metric in keys.items():
        if metric not in trial.values:
            return None
        points = metric_history(store, trial.run_id, metric)
        spread = metric_history(store, trial.run_id, names.std_key(metric))
        mean[key] = np.array(list(points.values()), dtype=float)
        std[key] = np.array([spread.get(epoch, 0.0) for epoch in points], dtype=float)
        epochs[key] = np.array(list(points), dtype=np.int64)
    return CurvesInfo(
        name=name,
        over="folds",
        number=len(trial.folds),
        mean=mean,
        std=std,
        epochs=epochs,
        # networks train in epochs; estimators grow by trees or iterations
        unit="epoch" if "epochs" in trial.config else "trees or iterations",
    )


def learning_curves(store: Store, trial: Trial, metric: str, *, name: str) -> CurvesInfo | None:
    """The curve of one metric on held-out rows, and on training rows if it was measured there.

    Args:
        store: Store of the trial's run.
        trial: A complete trial.
        metric: Short name of the metric, or `loss`.
        name: Name of the trial in figures.

    Returns:
        The curves; None if MLflow lacks them or there are too few points.
    """
    keys = {metric: names.val_key(metric)}
    if names.train_key(metric) in trial.values:
        keys[f"train_{metric}"] = names.train_key(metric)
    info = trial_curves(store, trial, name=name, keys=keys)
    return None if info is None or len(info.mean[metric]) < LEAST_POINTS else info


def plot_one(info: CurvesInfo, quantity: str, label: str | None = None) -> Figure:
    """Draw the training and held-out curve of one variant, mean ± std as a band.

    Args:
        info: Curves of the variant.
        quantity: Quantity to draw: `loss`, or the short name of a metric.
        label: Label of the vertical axis [the quantity].
    """
    figure = Figure(figsize=(5, 3.4), layout="constrained")
    axes = figure.subplots()
    _draw(axes, info, quantity)
    axes.set_title(f"{info.name}: {spread_of([info])}", fontsize=10)
    axes.set_ylabel(label or quantity)
    _limit(axes, quantity)
    axes.legend(frameon=False)
    return figure


def plot_all(infos: Sequence[CurvesInfo], quantity: str, label: str | None = None) -> Figure:
    """Draw a panel for each variant; the horizontal axis is shared if all have the same unit."""
    same = len({info.unit for info in infos}) == 1
    figure, panels = grid_of_axes(len(infos), share=True if same else "y")
    for axes, info in zip(panels, infos, strict=True):
        _draw(axes, info, quantity)
        axes.set_title(info.name, fontsize=10)
    fullest = max(panels, key=lambda axes: len(axes.get_legend_handles_labels()[0]))
    fullest.legend(frameon=False, fontsize=8)
    _limit(panels[0], quantity)
    figure.supylabel(f"{label or quantity}\n{spread_of(infos)}", fontsize=10)
    return figure


def spread_of(infos: Sequence[CurvesInfo]) -> str:
    """Meaning of the bands, in words; without the number of rounds or folds if it differs."""
    numbers = {info.number for info in infos}
    number = f"{numbers.pop()} " if len(numbers) == 1 else ""
    return f"mean ± std over {number}{' or '.join(sorted({info.over for info in infos}))}"


def _draw(axes: Axes, info: CurvesInfo, quantity: str) -> None:
    parts = (
        (f"train_{quantity}", "training", TRAIN, "--"),
        (quantity, HELD_OUT_PART[info.over], HELD_OUT, "-"),
    )
    for key, label, colour, style in parts:
        if key in info.mean:
            draw_band(
                axes,
                info.mean[key],
                info.std[key],
                label=label,
                colour=colour,
                style=style,
                epochs=info.epochs_of(key),
            )
    axes.set_xlabel(info.unit)
    whole_numbers(axes)
    axes.grid(alpha=0.3)


def draw_band(
    axes: Axes,
    mean: Float[np.ndarray, " points"],
    std: Float[np.ndarray, " points"],
    *,
    label: str,
    colour: str,
    style: str = "-",
    epochs: Int[np.ndarray, " points"] | None = None,
) -> None:
    """Draw a curve over epochs with a band of one standard deviation on either side.

    Points have markers if the quantity was not measured after every epoch.
    """
    if epochs is None:
        epochs = np.arange(1, len(mean) + 1)
    marker = "o" if (np.diff(epochs) > 1).any() or len(epochs) < LEAST_POINTS else ""
    look: dict[str, Any] = {"linewidth": 1.4, "marker": marker, "markersize": 3.5}
    axes.plot(epochs, mean, style, color=colour, label=label, **look)
    axes.fill_between(epochs, mean - std, mean + std, color=colour, alpha=0.25, linewidth=0)


def _limit(axes: Axes, quantity: str) -> None:
    """Limit the axis of an accuracy to 1; call it after drawing, or later curves are cut off."""
    if quantity == "accuracy":
        axes.set_ylim(top=1.0)
