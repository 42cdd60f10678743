"""Heat maps of wrong comparisons by pair of digits, for each network."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from analysis.plots.style import grid_of_axes


@dataclass(frozen=True, kw_only=True)
class HeatmapInfo:
    """Share of wrong answers by (first digit, second digit); NaN if a pair never occurs."""

    name: str
    share: Float[np.ndarray, "10 10"]


def heatmap_info(
    name: str, wrong: Sequence[Sequence[int]], count: Sequence[Sequence[int]]
) -> HeatmapInfo:
    """Divide numbers of wrong answers by numbers of occurrences of each pair of digits."""
    errors, occurrences = np.asarray(wrong, dtype=float), np.asarray(count, dtype=float)
    share = np.full_like(errors, np.nan)
    np.divide(errors, occurrences, out=share, where=occurrences > 0)
    return HeatmapInfo(name=name, share=share)


def plot_heatmaps(infos: Sequence[HeatmapInfo]) -> Figure:
    """Draw a panel for each network, on one colour scale."""
    figure, panels = grid_of_axes(len(infos), share=True)
    top = max(0.01, *(float(np.nanmax(info.share)) for info in infos))
    for i, (axes, info) in enumerate(zip(panels, infos, strict=True)):
        image = axes.imshow(100 * info.share, vmin=0, vmax=100 * top, cmap="viridis")
        axes.set_title(info.name, fontsize=10)
        axes.set_xticks(range(0, 10, 3))
        axes.set_yticks(range(0, 10, 3))
        axes.set_xlabel("second digit")
        if i == 0:
            axes.set_ylabel("first digit")
    bar = figure.colorbar(image, ax=panels, shrink=0.8)
    bar.set_label("wrong answers\n(% of the pair's occurrences)")
    return figure
