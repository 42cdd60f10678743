"""Errors of a regression: predicted against actual values, and residuals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from analysis.plots.style import FAINT, HELD_OUT, INK, grid_of_axes, looks

WINDOWS = 8
"""Number of parts of the predictions whose median residual is drawn."""
LEAST_ROWS = 40
"""Smallest number of rows for which medians are drawn."""
FEW_ROWS = 300
"""Largest number of rows for which points are large and dark."""


@dataclass(frozen=True, kw_only=True)
class PredictedInfo:
    """Test rows of one round."""

    name: str
    actual: Float[np.ndarray, " rows"]
    predicted: Float[np.ndarray, " rows"]

    @property
    def residual(self) -> Float[np.ndarray, " rows"]:
        """Actual minus predicted values."""
        return self.actual - self.predicted

    def medians(self) -> tuple[Float[np.ndarray, " windows"], Float[np.ndarray, " windows"]]:
        """Median prediction and residual of equal groups of rows, sorted by prediction."""
        order = np.argsort(self.predicted, kind="stable")
        parts = np.array_split(order, WINDOWS)
        return (
            np.array([np.median(self.predicted[part]) for part in parts]),
            np.array([np.median(self.residual[part]) for part in parts]),
        )


def predicted_info(name: str, evaluation: Mapping[str, Any]) -> PredictedInfo | None:
    """The rows of an evaluation; None if it kept none, as for targets of several values a row."""
    points = np.asarray(evaluation.get("points") or [], dtype=float).reshape(-1, 2)
    points = points[np.isfinite(points).all(1)]
    if not len(points):
        return None
    return PredictedInfo(name=name, actual=points[:, 0], predicted=points[:, 1])


def plot_predicted(infos: Sequence[PredictedInfo]) -> Figure:
    """Draw predicted against actual for each variant, on common axes; the diagonal is perfect."""
    figure, panels = grid_of_axes(len(infos), share=True, side=3.8 if len(infos) == 1 else 3.0)
    figure.set_layout_engine("compressed")  # for panels whose sides have a fixed ratio
    ends = [v for info in infos for part in (info.actual, info.predicted) for v in part]
    low, high = min(ends), max(ends)
    margin = 0.04 * ((high - low) or 1.0)
    limits = (low - margin, high + margin)
    colours = looks(info.name for info in infos)
    for axes, info in zip(panels, infos, strict=True):
        axes.plot(limits, limits, "--", color=FAINT, linewidth=1)
        axes.scatter(
            info.actual,
            info.predicted,
            s=_size(info),
            color=colours[info.name].colour,
            alpha=_alpha(info),
            linewidths=0,
        )
        axes.set_title(f"{info.name}: {len(info.actual):,} rows", fontsize=9.5)
        axes.set(xlim=limits, ylim=limits, aspect="equal", xlabel="actual", ylabel="predicted")
        axes.grid(alpha=0.3)
        axes.label_outer()
    return figure


def plot_residuals(infos: Sequence[PredictedInfo]) -> Figure:
    """Draw residuals against predictions for each variant, with medians and a histogram beside."""
    columns = min(len(infos), 2)
    rows = -(-len(infos) // columns)
    figure = Figure(figsize=(4.8 * columns, 3.0 * rows), layout="constrained")
    panels = list(
        figure.subplots(
            rows, 2 * columns, sharey=True, squeeze=False, width_ratios=(4, 1) * columns
        ).flat
    )
    most = 1.08 * max(float(np.abs(info.residual).max()) for info in infos) or 1.0
    bins = np.linspace(-most, most, 31)
    colours = looks(info.name for info in infos)
    for unused in panels[2 * len(infos) :]:
        unused.set_visible(False)
    for i, info in enumerate(infos):
        axes, beside = panels[2 * i], panels[2 * i + 1]
        colour = colours[info.name].colour
        axes.scatter(
            info.predicted,
            info.residual,
            s=_size(info),
            color=colour,
            alpha=_alpha(info),
            linewidths=0,
        )
        axes.axhline(0, color=FAINT, linewidth=1, linestyle="--")
        if len(info.actual) >= LEAST_ROWS:
            line = HELD_OUT if colour != HELD_OUT else INK
            axes.plot(*info.medians(), color=line, linewidth=1.6, marker="o", markersize=3)
        axes.set_title(f"{info.name}: std {np.std(info.residual):.3g}", fontsize=10)
        axes.set(xlabel="predicted", ylim=(-most, most))
        if i % columns == 0:
            axes.set_ylabel("residual (actual - predicted)")
        axes.grid(alpha=0.3)
        beside.hist(info.residual, bins=bins, orientation="horizontal", color=colour, alpha=0.8)
        beside.set_xlabel("rows")
        beside.grid(alpha=0.3)
    return figure


def _size(info: PredictedInfo) -> float:
    return 16.0 if len(info.actual) <= FEW_ROWS else 8.0


def _alpha(info: PredictedInfo) -> float:
    return 0.7 if len(info.actual) <= FEW_ROWS else 0.35
