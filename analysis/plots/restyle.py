"""Restyling of Optuna's matplotlib figures for print: panels, sizes, labels.

Optuna draws all panels in one row, with overlapping labels, in pale blue on grey.
"""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.ticker import Locator, MaxNLocator

from analysis.plots.style import log_ticks, whole_numbers

COLUMNS = 5
SMALL = 8
"""Size of small letters, in points."""


def slices(figure: Figure) -> Figure:
    """Arrange the panels of a slice plot in several rows instead of one."""
    mappable, label = _without_bar(figure)
    panels = list(figure.axes)
    columns = min(COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure.set_layout_engine("constrained")
    figure.set_size_inches(2.1 * columns + 1.0, 2.1 * rows + 0.4)
    places = figure.add_gridspec(rows, columns)
    for i, axes in enumerate(panels):
        axes.set_subplotspec(places[i // columns, i % columns])
        axes.set_ylabel(axes.get_ylabel() if i % columns == 0 else "")
        axes.tick_params(labelleft=i % columns == 0)
        for points in axes.collections:
            points.set_cmap("cividis")
            values = np.asarray(points.get_offsets())[:, 0]
            if len(values) and axes.get_xscale() == "linear" and (values == values.round()).all():
                whole_numbers(axes)
        _plain(axes)
    _bar(figure, mappable, panels, label.lower(), MaxNLocator(integer=True))
    return _untitled(figure)


def contours(figure: Figure) -> Figure:
    """Restyle a contour plot: keep the lower half of the panels, which the upper half mirrors."""
    mappable, label = _without_bar(figure)
    panels = list(figure.axes)
    side = math.isqrt(len(panels))
    size = (5.6, 4.2) if side == 1 else (2.6 * (side - 1) + 1.4, 2.4 * (side - 1) + 0.5)
    figure.set_layout_engine("constrained")
    figure.set_size_inches(*size)
    places = figure.add_gridspec(max(side - 1, 1), max(side - 1, 1))
    for i, axes in enumerate(panels):
        row, column = divmod(i, side)
        _plain(axes)
        for points in axes.collections:
            if isinstance(points, PathCollection):  # small, to leave the contours below visible
                points.set(sizes=[9], linewidth=0.5)
        if side > 1 and row <= column:
            axes.remove()
        elif side > 1:
            axes.set_subplotspec(places[row - 1, column])
            axes.set_ylabel(axes.get_ylabel() if column == 0 else "")
            axes.set_xlabel(axes.get_xlabel() if row == side - 1 else "")
            axes.tick_params(which="both", labelleft=column == 0, labelbottom=row == side - 1)
    _bar(figure, mappable, figure.axes, label)
    return _untitled(figure)


def parallel(figure: Figure) -> Figure:
    """Restyle a parallel-coordinate plot: each axis has room for its name and numbers."""
    mappable, label = _without_bar(figure)
    first, *others = figure.axes
    width = 0.98 * len(others) + 2.8
    figure.set_layout_engine("none")  # layout engines ignore axes that are offset sideways
    figure.set_size_inches(width, 4.4)
    for axes in (first, *others):
        axes.set_position((0.9 / width, 0.2, 1 - 2.5 / width, 0.75))
        axes.tick_params(which="both", labelsize=SMALL - 0.5)
        for text in axes.get_yticklabels(which="both"):  # lines run behind the numbers
            text.set_bbox({"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.6})
    for text in first.get_xticklabels():
        text.set(rotation=20, ha="right", rotation_mode="anchor", fontsize=SMALL + 1)
    # the best lines are dark in both directions of the objective
    upwards = not mappable.get_cmap().name.endswith("_r")
    mappable.set_cmap("cividis_r" if upwards else "cividis")
    bar = figure.add_axes((1 - 0.85 / width, 0.2, 0.16 / width, 0.75))
    figure.colorbar(mappable, cax=bar)
    bar.set_ylabel(label, fontsize=SMALL + 1)
    bar.tick_params(labelsize=SMALL)
    return _untitled(figure)


def _without_bar(figure: Figure) -> tuple[ScalarMappable, str]:
    """Remove the colour bar; return the mappable that it explains, and its label."""
    drawn = [artist for axes in figure.axes for artist in axes.collections]
    mappable, bar = next((a, a.colorbar) for a in drawn if a.colorbar is not None)
    label = bar.ax.get_ylabel()
    bar.remove()
    return mappable, label


def _bar(
    figure: Figure,
    mappable: ScalarMappable,
    panels: Sequence[Axes],
    label: str,
    ticks: Locator | None = None,
) -> None:
    bar = figure.colorbar(mappable, ax=panels, fraction=0.03, aspect=32, ticks=ticks)
    bar.set_label(label, fontsize=SMALL + 1)
    bar.ax.tick_params(labelsize=SMALL)


def _plain(axes: Axes) -> None:
    """Style axes with a white background and small black letters."""
    axes.set_facecolor("white")
    for spine in axes.spines.values():
        spine.set(edgecolor="0.6", linewidth=0.8)
    axes.grid(alpha=0.6, color="0.85", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", labelsize=SMALL, colors="black")
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set(fontsize=SMALL + 1, color="black")
        if axis.get_scale() == "log":
            log_ticks(axis)


def _untitled(figure: Figure) -> Figure:
    """Remove Optuna's titles, which name the kind of plot."""
    if figure.get_suptitle():
        figure.suptitle("")
    for axes in figure.axes:
        axes.set_title("")
    return figure
