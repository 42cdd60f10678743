"""Interactive figures for a browser: HTML files that need no network."""

from collections.abc import Mapping
from pathlib import Path

import plotly.graph_objects as go

from analysis.plots.style import COST_LABELS, INK, axis_label, looks
from analysis.plots.tradeoffs import TradeoffInfo
from analysis.results import Trial
from foldsweep.files import whole
from foldsweep.numbers import shown_spread


def write_html(figures: Mapping[str, go.Figure], folder: Path) -> list[Path]:
    """Write a page for each figure, `NAME.html`, and the plotly library once beside them."""
    paths = []
    for name, figure in figures.items():
        paths.append(folder / f"{name}.html")
        with whole(paths[-1]) as part:
            figure.write_html(part, include_plotlyjs="directory")
    return paths


def interactive_tradeoff(info: TradeoffInfo) -> go.Figure:
    """Draw a trade-off interactively: hovering over a trial shows its details."""
    figure = go.Figure()
    for variant, look in looks(t.variant for t in info.trials).items():
        mine = [i for i, t in enumerate(info.trials) if t.variant == variant]
        figure.add_scatter(
            x=[info.x[i] for i in mine],
            y=[info.trials[i].score for i in mine],
            error_y={"array": [info.trials[i].std for i in mine], "thickness": 0.6, "width": 0},
            mode="markers",
            marker={"color": look.colour, "size": 8},
            name=variant,
            text=[_hover(info.trials[i]) for i in mine],
            hovertemplate="%{text}<extra></extra>",
        )
    figure.add_scatter(
        x=[info.x[i] for i in info.front],
        y=[info.trials[i].score for i in info.front],
        mode="lines",
        line={"color": INK, "shape": "hv", "width": 1.5},
        name="Pareto front",
        hoverinfo="skip",
    )
    figure.update_layout(
        template="plotly_white",
        title=f"{len(info.trials)} complete trials",
        xaxis={"title": {"text": COST_LABELS[info.cost]}, "type": "log"},
        yaxis={"title": {"text": axis_label(info.objective)}},
    )
    return figure


def _hover(trial: Trial) -> str:
    what = trial.origin or ""
    return (
        f"<b>{trial.label}</b> {what}<br>{shown_spread(trial.score, trial.std)}<br>"
        f"{trial.num_params:,} parameters, {trial.train_time_s:.1f} s"
    )
