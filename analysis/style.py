"""What all figures share: colours that colour-blind readers tell apart, and panels in a grid."""

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito (2008), "Color universal design"
TRAIN = "#0072B2"
HELD_OUT = "#D55E00"
DPI = 130


def grid_of_axes(number: int, *, share: bool, side: float = 2.6) -> tuple[Figure, list[Axes]]:
    """A figure with `number` panels, up to four in a row; `share` gives them common axes."""
    columns = 3 if number in (5, 6) else min(number, 4)
    rows = math.ceil(number / columns)
    figure = Figure(figsize=(side * columns + 0.6, side * 0.95 * rows + 0.2), layout="constrained")
    axes = figure.subplots(rows, columns, sharex=share, sharey=share, squeeze=False)
    panels = list(axes.flat)
    for unused in panels[number:]:
        unused.set_visible(False)
    for i in range(number):  # a panel with none below it keeps its numbers
        panels[i].tick_params(labelbottom=i + columns >= number)
    return figure, panels[:number]
