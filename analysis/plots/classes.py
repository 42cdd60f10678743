"""Errors of a classification: confusion matrices, and the calibration of probabilities."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from analysis.plots.style import FAINT, HELD_OUT, INK, grid_of_axes, looks

MOST_CLASSES = 20
"""Largest number of classes in a matrix; with more classes, the most frequent confusions are
listed."""
MOST_SHARED = 5
"""Largest number of classes with which matrices of several sweeps share a figure."""
MOST_LISTED = 15
"""Largest number of confusions that are listed."""
FEW = 20
"""Number of predictions in a bin below which its share is uncertain, and its point hollow."""
LONGEST = 16
"""Largest number of letters of a class that are shown."""
_SHADES = (0, 1, 5, 20, 50, 100)
"""Ticks of the colour bar: shares of a class, in percent."""


@dataclass(frozen=True, kw_only=True)
class ConfusionInfo:
    """Numbers of test rows by actual class (rows) and predicted class (columns), in all rounds."""

    name: str
    classes: tuple[str, ...]
    count: Int[np.ndarray, "k k"]
    rounds: int

    @property
    def share(self) -> Float[np.ndarray, "k k"]:
        """Share of each actual class; NaN for a class that never occurs."""
        total = self.count.sum(1, keepdims=True).astype(float)
        share = np.full(self.count.shape, np.nan)
        np.divide(self.count, total, out=share, where=total > 0)
        return share

    @property
    def listed(self) -> list[tuple[int, int]]:
        """The most frequent confusions, as (actual, predicted), most frequent first."""
        wrong = self.count.copy()
        np.fill_diagonal(wrong, 0)
        order = np.argsort(-wrong, axis=None, kind="stable")[:MOST_LISTED]
        places = [divmod(int(place), len(wrong)) for place in order]
        return [place for place in places if wrong[place]]


@dataclass(frozen=True, kw_only=True)
class CalibrationInfo:
    """Bins of predicted probability, over all classes and rounds."""

    name: str
    predicted: Float[np.ndarray, " bins"]
    """Mean predicted probability of each bin."""
    observed: Float[np.ndarray, " bins"]
    """Share of each bin's predictions that came true."""
    count: Float[np.ndarray, " bins"]

    @property
    def error(self) -> float:
        """Expected calibration error: mean of |observed - predicted|, weighted by count."""
        return float(np.average(np.abs(self.observed - self.predicted), weights=self.count))


def confusion_info(name: str, evaluation: Mapping[str, Any]) -> ConfusionInfo:
    """The confusion matrix of an evaluation."""
    return ConfusionInfo(
        name=name,
        classes=tuple(_short(str(c)) for c in evaluation["classes"]),
        count=np.asarray(evaluation["confusion"], dtype=np.int64),
        rounds=int(evaluation["rounds"]),
    )


def calibration_info(name: str, evaluation: Mapping[str, Any]) -> CalibrationInfo | None:
    """The calibration of an evaluation; None for predictions without probabilities."""
    found = evaluation.get("calibration")
    if not found or not found["count"]:
        return None
    parts = {key: np.asarray(found[key], dtype=float) for key in found}
    return CalibrationInfo(
        name=name,
        predicted=parts["predicted"],
        observed=parts["observed"],
        count=parts["count"],
    )


def plot_confusions(infos: Sequence[ConfusionInfo]) -> Figure:
    """Draw a matrix for each variant, coloured by share of the actual class, on one scale.

    With more than `MOST_CLASSES` classes, the most frequent confusions are listed instead.
    """
    number = len(infos[0].classes)
    if number > MOST_CLASSES:
        return _plot_listed(infos)
    side = 2.4 + (0.3 if number <= MOST_SHARED else 0.38) * number
    figure, panels = grid_of_axes(len(infos), share=True, side=side, most=4 if side < 4.5 else 2)
    figure.set_layout_engine("compressed")  # for panels whose sides have a fixed ratio
    if len(infos) == 1:
        figure.set_figwidth(figure.get_figwidth() + 0.6)
    else:
        figure.set_figheight(figure.get_figheight() + 0.5)  # titles take two lines
    for axes, info in zip(panels, infos, strict=True):
        # the scale makes rare mistakes visible beside classes that are nearly always right
        shade = PowerNorm(0.5, vmin=0, vmax=100)
        image = axes.imshow(100 * info.share, norm=shade, cmap="Blues")
        axes.set_title(f"{info.name}\n{_rows(info)}", fontsize=9.5)
        _cells(axes, info)
        axes.set_xlabel("predicted")
        axes.set_ylabel("actual")
        axes.label_outer()
    bar = figure.colorbar(image, ax=panels, shrink=0.85, ticks=_SHADES)
    bar.ax.minorticks_off()
    bar.set_label("% of the actual class")
    return figure


def _cells(axes: Axes, info: ConfusionInfo) -> None:
    """Write counts into the cells, and names of classes; cells without mistakes are left blank."""
    number, share = len(info.classes), np.nan_to_num(info.share)
    size = 9 if number <= 10 else 7
    for actual in range(number):
        for answered in range(number):
            count = int(info.count[actual, answered])
            if not count and actual != answered:
                continue
            axes.text(
                answered,
                actual,
                f"{count:,}" if count < 10_000 else f"{count / 1000:.0f}k",
                ha="center",
                va="center",
                fontsize=size,
                color="white" if share[actual, answered] > 0.3 else INK,
            )
    long = max(map(len, info.classes)) > (9 if number == 2 else 3)
    axes.set_xticks(range(number), info.classes, fontsize=size)
    if long:
        for text in axes.get_xticklabels():
            text.set(rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(number), info.classes, fontsize=size)
    axes.set_xticks(np.arange(number - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(number - 1) + 0.5, minor=True)
    axes.grid(which="minor", color="0.85", linewidth=0.8)
    axes.tick_params(which="minor", length=0)


def _plot_listed(infos: Sequence[ConfusionInfo]) -> Figure:
    """Draw the most frequent confusions of each variant as bars, the most frequent on top."""
    most = max(1, *(len(info.listed) for info in infos))
    columns = min(len(infos), 2)
    rows = -(-len(infos) // columns)
    figure = Figure(figsize=(5.4 * columns, rows * (1.3 + 0.24 * most)), layout="constrained")
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for unused in panels[len(infos) :]:
        unused.set_visible(False)
    for axes, info in zip(panels, infos, strict=False):
        listed = info.listed
        places = range(len(listed))
        counts = [int(info.count[place]) for place in listed]
        bars = axes.barh(places, counts, color=HELD_OUT, height=0.7)
        axes.bar_label(
            bars,
            [f"{n:,} ({100 * info.share[p]:.0f} %)" for n, p in zip(counts, listed, strict=True)],
            fontsize=8,
            padding=2,
        )
        labels = [f"{info.classes[a]} → {info.classes[b]}" for a, b in listed]
        axes.set_yticks(places, labels, fontsize=8)
        axes.set_ylim(most - 0.4, -0.6)
        axes.set_xlim(0, 1.25 * max(counts, default=1))
        axes.set_xlabel("test rows (% of the actual class)")
        axes.set_title(f"{info.name}: actual → predicted\n{_rows(info)}", fontsize=9.5)
    return figure


def _rows(info: ConfusionInfo) -> str:
    """Number of rows, in words."""
    total = int(info.count.sum())
    if info.rounds == 1:
        return f"{total:,} rows"
    return f"{info.rounds} x {total // info.rounds:,} rows"


def plot_calibrations(infos: Sequence[CalibrationInfo]) -> Figure:
    """Draw observed against predicted, a curve for each variant; below it, numbers of predictions.

    The diagonal is perfect calibration. Bins with few predictions have hollow points.
    """
    figure = Figure(figsize=(6.6, 5.2), layout="constrained")
    curve, counts = figure.subplots(2, 1, sharex=True, height_ratios=(3.4, 1))
    curve.plot([0, 1], [0, 1], "--", color=FAINT, linewidth=1, label="perfect")
    colours = looks(info.name for info in infos)
    for info in infos:
        look = colours[info.name]
        style: dict[str, Any] = {"color": look.colour, "marker": look.marker, "markersize": 5}
        style["linewidth"] = 1.4
        label = f"{info.name} (ECE {info.error:.3f})"
        curve.plot(info.predicted, info.observed, label=label, alpha=0.9, **style)
        few = info.count < FEW
        hollow = {**style, "linewidth": 0, "markerfacecolor": "white"}
        curve.plot(info.predicted[few], info.observed[few], zorder=3, **hollow)
        counts.plot(info.predicted, info.count, alpha=0.9, **style)
    curve.set_ylabel("observed frequency")
    curve.set_ylim(-0.03, 1.03)
    counts.set_yscale("log")
    counts.set_ylabel("predictions")
    counts.set_xlabel("predicted probability of a class")
    counts.set_xlim(-0.03, 1.03)
    for axes in (curve, counts):
        axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", frameon=False, fontsize=9)
    return figure


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
