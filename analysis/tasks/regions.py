"""Points of the unit square: the data, and the regions that trained networks distinguish."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from analysis.plots.style import HELD_OUT, TRAIN, grid_of_axes

RADIUS = 1 / math.sqrt(2 * math.pi)


@dataclass(frozen=True, kw_only=True)
class PointsInfo:
    """Points with their target: 1 inside the disc, 0 outside."""

    xy: Float[np.ndarray, "n 2"]
    target: Int[np.ndarray, " n"]


@dataclass(frozen=True, kw_only=True)
class RegionsInfo:
    """Share of rounds whose network answers 1, on a grid of points; row 0 is at the bottom."""

    name: str
    inside: Float[np.ndarray, "side side"]


def points_info(rows: Sequence[Sequence[float]]) -> PointsInfo:
    """Points from rows of x, y, target."""
    table = np.asarray(rows, dtype=float)
    return PointsInfo(xy=table[:, :2], target=table[:, 2].astype(np.int64))


def regions_info(name: str, regions: Sequence[Sequence[float]]) -> RegionsInfo:
    """Answers on a grid, averaged over rounds."""
    return RegionsInfo(name=name, inside=np.asarray(regions, dtype=float))


def plot_points(info: PointsInfo) -> Figure:
    """Draw the labelled points."""
    figure = Figure(figsize=(4.4, 4.2), layout="constrained")
    axes = figure.subplots()
    for target, label, colour, marker in (
        (0, "outside (0)", TRAIN, "o"),
        (1, "inside (1)", HELD_OUT, "^"),
    ):
        x, y = info.xy[info.target == target].T
        axes.scatter(x, y, s=9, c=colour, marker=marker, label=label, linewidths=0)
    _square(axes)
    axes.legend(loc="upper right", fontsize=8, framealpha=0.95)
    axes.set_title(f"{len(info.xy):,} training points", fontsize=10)
    return figure


def plot_regions(infos: Sequence[RegionsInfo]) -> Figure:
    """Draw a panel for each network, with the true disc as a line."""
    figure, panels = grid_of_axes(len(infos), share=True)
    for axes, info in zip(panels, infos, strict=True):
        image = axes.imshow(
            info.inside, origin="lower", extent=(0, 1, 0, 1), vmin=0, vmax=1, cmap="cividis"
        )
        _square(axes)
        axes.set_title(info.name, fontsize=10)
    bar = figure.colorbar(image, ax=panels, shrink=0.8)
    bar.set_label("share of rounds that say inside")
    return figure


def _square(axes: Axes) -> None:
    axes.add_patch(Circle((0.5, 0.5), RADIUS, fill=False, linestyle="--", color="black"))
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_aspect("equal")
    axes.set_xlabel("x")
    axes.set_ylabel("y")
