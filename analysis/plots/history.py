"""Optimisation history of sweeps: the objective of every trial in order, and the best so far."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.plots.style import (
    FAINT,
    HELD_OUT,
    INK,
    TRAIN,
    axis_label,
    grid_of_axes,
    in_two_lines,
    whole_numbers,
)
from analysis.results import Sweep
from foldsweep import names
from foldsweep.objective import Objective


@dataclass(frozen=True, kw_only=True)
class HistoryInfo:
    """Trials of one sweep; failed and running trials have no value and are left out."""

    name: str
    objective: Objective
    number: Int[np.ndarray, " complete"]
    value: Float[np.ndarray, " complete"]
    std: Float[np.ndarray, " complete"]
    """Standard deviation over folds; 0 if the objective is not averaged over folds."""
    best: Float[np.ndarray, " complete"]
    """Best value of the trial and all trials before it."""
    stopped: Int[np.ndarray, " stopped"]
    stopped_value: Float[np.ndarray, " stopped"]
    """Last value before the trial was stopped."""
    baseline: tuple[int, float] | None
    """Number and value of the first complete initial point; None if there is none."""


def history_info(sweep: Sweep, *, name: str) -> HistoryInfo:
    """The history of a sweep by its first objective, in the order of trials' numbers."""
    objective = sweep.objective.key
    complete = [t for t in sweep.trials if t.state == "COMPLETE" and objective in t.values]
    stopped = [t for t in sweep.trials if t.stopped_early and objective in t.values]
    value = np.array([t.values[objective] for t in complete], dtype=float)
    best = np.maximum if sweep.objective.better == "higher" else np.minimum
    repeated = next((t for t in complete if t.origin is not None), None)
    return HistoryInfo(
        name=name,
        objective=sweep.objective,
        number=np.array([t.number for t in complete], dtype=np.int64),
        value=value,
        std=np.array([t.values.get(names.std_key(objective), 0.0) for t in complete]),
        best=best.accumulate(value),
        stopped=np.array([t.number for t in stopped], dtype=np.int64),
        stopped_value=np.array([t.values[objective] for t in stopped], dtype=float),
        baseline=None if repeated is None else (repeated.number, repeated.values[objective]),
    )


def plot_histories(infos: Sequence[HistoryInfo]) -> Figure:
    """Draw a panel for each sweep; axes are shared if all sweeps have one objective."""
    same = len({info.objective for info in infos}) == 1
    if len(infos) == 1:
        figure = Figure(figsize=(6.4, 3.8), layout="constrained")
        panels = [figure.subplots()]
    else:
        figure, panels = grid_of_axes(len(infos), share=same, side=2.9)
    for axes, info in zip(panels, infos, strict=True):
        _draw(axes, info)
        if not same:
            axes.set_ylabel(in_two_lines(axis_label(info.objective)))
    if same:
        figure.supylabel(in_two_lines(axis_label(infos[0].objective)), fontsize=10)
    handles, labels = panels[0].get_legend_handles_labels()
    for axes in panels[1:]:  # labels that the first sweep lacks, such as trials stopped early
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            if label not in labels:
                handles.append(handle)
                labels.append(label)
    columns = 4 if len(infos) > 2 else 2
    figure.legend(
        handles, labels, loc="outside lower center", ncols=columns, frameon=False, fontsize=8.5
    )
    return figure


def _draw(axes: Axes, info: HistoryInfo) -> None:
    axes.errorbar(
        info.number,
        info.value,
        info.std,
        fmt="o",
        markersize=4,
        color=TRAIN,
        ecolor=f"{TRAIN}66",
        elinewidth=1,
        label="complete, ± std over folds",
    )
    if len(info.stopped):
        axes.scatter(
            info.stopped,
            info.stopped_value,
            marker="x",
            s=18,
            color=FAINT,
            linewidths=1,
            label="stopped early, last value",
        )
    end = max([*info.number, *info.stopped])
    axes.step(
        [*info.number, end],
        [*info.best, info.best[-1]],
        where="post",
        color=HELD_OUT,
        linewidth=1.6,
        label="best so far",
    )
    if info.baseline is not None:
        axes.scatter(
            *info.baseline,
            marker="D",
            s=42,
            facecolors="none",
            edgecolors=INK,
            linewidths=1.3,
            zorder=4,
            label="baseline",
        )
    axes.set_title(info.name, fontsize=10)
    axes.set_xlabel("trial")
    whole_numbers(axes)
    axes.grid(alpha=0.3)
