"""Style of all figures: colours that colour-blind readers can distinguish, panels in a grid."""

import math
from collections.abc import Iterable
from typing import Literal, NamedTuple

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from foldsweep import names
from foldsweep.objective import Objective

# Okabe and Ito (2008), "Color universal design"
TRAIN = "#0072B2"
HELD_OUT = "#D55E00"
INK = "#222222"
FAINT = "#8A8A8A"
_COLOURS = (TRAIN, HELD_OUT, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", INK)
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h")
DPI = 130

COST_LABELS = {
    names.NUM_PARAMS: "trainable parameters",
    names.TRAIN_TIME: "training time of all folds (s)",
}
"""Axis label of each cost, with its unit."""


def axis_label(objective: Objective, part: str = "validation") -> str:
    """Axis label of a metric: the rows that it is measured on, and which direction is better.

    Args:
        objective: The metric.
        part: Rows that the metric is measured on.
    """
    if objective.key in COST_LABELS:
        return COST_LABELS[objective.key]
    return f"{part} {objective.name} ({objective.better} is better)"


def in_two_lines(label: str) -> str:
    """An axis label with the part in brackets on a second line, for low panels."""
    return label.replace(" (", "\n(", 1)


class Look(NamedTuple):
    """Colour and marker of a variant; either alone distinguishes variants."""

    colour: str
    marker: str


def looks(names: Iterable[str]) -> dict[str, Look]:
    """A look for each name, independent of the order of names; looks repeat only after many."""
    return {
        name: Look(_COLOURS[i % len(_COLOURS)], _MARKERS[i % len(_MARKERS)])
        for i, name in enumerate(sorted(set(names)))
    }


def whole_numbers(axes: Axes) -> None:
    """Put ticks of the horizontal axis at whole numbers, for epochs and trials."""
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))


def log_ticks(axis: Axis) -> None:
    """Put few ticks on a logarithmic axis, as plain numbers: 0.002, not 2 times a power of ten."""
    low, high = sorted(axis.get_view_interval())
    decades = math.log10(high / low)
    wanted = ((0.7, (1, 2, 3, 4, 6, 8)), (1.4, (1, 2, 5)), (2.6, (1, 3)), (math.inf, (1,)))
    axis.set_major_locator(LogLocator(subs=next(subs for most, subs in wanted if decades < most)))
    axis.set_major_formatter(FuncFormatter(_plain_number))
    axis.set_minor_formatter(NullFormatter())


def _plain_number(value: float, place: int | None) -> str:
    return f"{value / 1000:g}k" if 1000 <= value < 1e6 else f"{value:g}".replace("e-0", "e-")


def grid_of_axes(
    number: int, *, share: bool | Literal["y"], side: float = 2.6, most: int = 4
) -> tuple[Figure, list[Axes]]:
    """A figure with `number` panels, up to `most` in a row.

    `share` gives the panels common axes, or with "y" a common vertical axis.
    """
    columns = min(3 if number in (5, 6, 9) else number, most)
    rows = math.ceil(number / columns)
    figure = Figure(figsize=(side * columns + 0.6, side * 0.95 * rows + 0.2), layout="constrained")
    axes = figure.subplots(rows, columns, sharex=share is True, sharey=bool(share), squeeze=False)
    panels = list(axes.flat)
    for unused in panels[number:]:
        unused.set_visible(False)
    for i in range(number):  # with shared axes, only the lowest panel of a column has tick labels
        panels[i].tick_params(labelbottom=share is not True or i + columns >= number)
    return figure, panels[:number]
