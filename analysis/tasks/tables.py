"""Figures of reports' tables, whose rows all belong to built-in tasks."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from analysis.tasks.heatmaps import heatmap_info, plot_heatmaps
from analysis.tasks.regions import plot_points, plot_regions, points_info, regions_info
from analysis.tasks.weighted import AUX_LOSS, is_annealed, plot_weighted, weighted_info


def table_pictures(
    rows: Mapping[str, Mapping[str, Any]], names: Mapping[str, str]
) -> dict[str, Figure]:
    """Weighted losses, wrong answers by digits, regions and points of the rows that have them.

    Args:
        rows: Results as `sweeps/reproduce.py` logs them, by row.
        names: Name of each row in figures.
    """
    drawn: dict[str, Figure] = {}
    weighted = [
        weighted_info(names[preset], row["curves"], annealed=is_annealed(row["config"]))
        for preset, row in rows.items()
        if AUX_LOSS in row.get("curves", {})
    ]
    if weighted:
        drawn["weighted-loss"] = plot_weighted(weighted)
    wrong = [
        heatmap_info(names[preset], row["wrong"], row["count"])
        for preset, row in rows.items()
        if "wrong" in row and "regions" not in row
    ]
    if wrong:
        drawn["wrong"] = plot_heatmaps(wrong)
    regions = [
        regions_info(names[preset], row["regions"])
        for preset, row in rows.items()
        if "regions" in row
    ]
    if regions:
        drawn["regions"] = plot_regions(regions)
    points = [row["points"] for row in rows.values() if "points" in row]
    if points:
        drawn["points"] = plot_points(points_info(points[0]))
    return drawn
