"""Box plots of the scores of each variant's best trial over rounds or folds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.plots.curves import HELD_OUT_PART, Over
from analysis.plots.style import INK, axis_label, looks
from analysis.results import Sweep, Trial
from foldsweep.objective import Objective

LONGEST = 14
"""Number of letters of a name that fit below a box."""


@dataclass(frozen=True, kw_only=True)
class BoxInfo:
    """The single scores of one variant's best trial."""

    name: str
    over: Over
    """Rounds on test rows, or folds of the training rows if there are no rounds."""
    values: tuple[float, ...]


def box_info(sweep: Sweep, trial: Trial, *, name: str) -> BoxInfo:
    """Rounds of the latest evaluation of a trial, or its folds if it was never evaluated."""
    evaluation = sweep.evaluation(trial.number)
    if evaluation is not None and evaluation.scores:
        return BoxInfo(name=name, over="rounds", values=evaluation.scores)
    return BoxInfo(name=name, over="folds", values=trial.folds)


def plot_boxes(infos: Sequence[BoxInfo], objective: Objective) -> Figure:
    """Draw a box and all single values for each variant; folds and rounds have separate panels."""
    overs: list[Over] = [o for o in ("rounds", "folds") if any(info.over == o for info in infos)]
    groups = [[info for info in infos if info.over == over] for over in overs]
    sizes = [len(group) for group in groups]
    figure = Figure(figsize=(1.8 + 1.1 * max(sum(sizes), 2), 3.6), layout="constrained")
    panels = figure.subplots(1, len(groups), sharey=True, squeeze=False, width_ratios=sizes)[0]
    colours = looks(info.name for info in infos)
    for axes, over, group in zip(panels, overs, groups, strict=True):
        for place, info in enumerate(group, start=1):
            _draw(axes, place, info, colours[info.name].colour)
        axes.set_xticks(
            range(1, len(group) + 1),
            [f"{_in_lines(info.name)}\nn = {len(info.values)}" for info in group],
            fontsize=9,
        )
        axes.set_xlim(0.4, len(group) + 0.6)
        axes.set_ylabel(f"{axis_label(objective, HELD_OUT_PART[over])}\none point per {over[:-1]}")
        axes.grid(axis="y", alpha=0.3)
    return figure


def _draw(axes: Axes, place: int, info: BoxInfo, colour: str) -> None:
    """Draw a box of median, quartiles and range, and all points side by side, to be visible."""
    axes.boxplot(
        info.values,
        positions=[place],
        widths=0.5,
        whis=(0, 100),
        medianprops={"color": INK, "linewidth": 1.6},
        boxprops={"color": colour},
        whiskerprops={"color": colour},
        capprops={"color": colour},
    )
    number = len(info.values)
    spots = place + (np.linspace(-0.16, 0.16, number) if number > 1 else np.zeros(1))
    axes.scatter(spots, info.values, s=16, color=colour, alpha=0.8, linewidths=0, zorder=3)


def _in_lines(name: str) -> str:
    """A name broken into short lines: at blanks, and a long name without blanks at one `_`."""
    if len(name) > LONGEST and " " not in name and "_" in name[1:-1]:
        cuts = [i for i, letter in enumerate(name) if letter == "_" and 0 < i < len(name) - 1]
        middle = min(cuts, key=lambda i: abs(i - len(name) / 2))
        return f"{name[: middle + 1]}\n{name[middle + 1 :]}"
    return name.replace(" ", "\n")
