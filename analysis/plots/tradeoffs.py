"""Trade-offs of scores against costs, parameters or seconds, with the Pareto front."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from matplotlib.figure import Figure

from analysis.plots.style import COST_LABELS, INK, axis_label, log_ticks, looks
from analysis.results import Sweep, Trial
from foldsweep.numbers import shown_spread
from foldsweep.objective import Objective

Cost = Literal["num_params", "train_time_s"]
COSTS: tuple[Cost, ...] = ("num_params", "train_time_s")
MOST_NAMED = 12
"""Largest number of members of a front that are named; of more, the best are named."""


@dataclass(frozen=True, kw_only=True)
class TradeoffInfo:
    """Complete trials of all sweeps by one cost."""

    cost: Cost
    objective: Objective
    """The metric that trials are compared by."""
    trials: tuple[Trial, ...]
    x: tuple[float, ...]
    """Cost of each trial."""
    front: tuple[int, ...]
    """Indices of the trials on the Pareto front, from cheap to expensive."""


def tradeoff_info(sweeps: Sequence[Sweep], cost: Cost) -> TradeoffInfo:
    """All complete trials whose cost is known, and their Pareto front."""
    trials = [t for sweep in sweeps for t in sweep.complete if t.values.get(cost, 0) > 0]
    x = [float(t.values[cost]) for t in trials]
    objective = sweeps[0].measure
    return TradeoffInfo(
        cost=cost,
        objective=objective,
        trials=tuple(trials),
        x=tuple(x),
        front=pareto_front(x, [objective.sign * t.score for t in trials]),
    )


def pareto_front(cost: Sequence[float], value: Sequence[float]) -> tuple[int, ...]:
    """Indices of the points that no other point dominates, from cheap to expensive.

    A point dominates another if it costs no more and its value is at least as high, unless both
    are equal: of equal points the first is on the front.
    """
    front: list[int] = []
    for i in sorted(range(len(cost)), key=lambda i: (cost[i], -value[i])):
        if not front or value[i] > value[front[-1]]:
            front.append(i)
    return tuple(front)


def plot_tradeoff(info: TradeoffInfo) -> Figure:
    """Draw all trials by variant; the front as steps, with members numbered and named beside."""
    figure = Figure(figsize=(8.6, 4.4), layout="constrained")
    axes = figure.subplots()
    for variant, look in looks(t.variant for t in info.trials).items():
        mine = [i for i, t in enumerate(info.trials) if t.variant == variant]
        axes.scatter(
            [info.x[i] for i in mine],
            [info.trials[i].score for i in mine],
            s=26,
            c=look.colour,
            marker=look.marker,
            alpha=0.75,
            linewidths=0,
            zorder=3,
            label=variant,
        )
    members = [info.trials[i] for i in info.front]
    x, y = [info.x[i] for i in info.front], [t.score for t in members]
    axes.errorbar(
        x, y, [t.std for t in members], fmt="none", ecolor=INK, elinewidth=0.9, capsize=2.5
    )
    right = max(info.x) * 1.15  # beyond its cost, the best value stays the best
    axes.step([*x, right], [*y, y[-1]], where="post", color=INK, linewidth=1, label="Pareto front")
    named = list(enumerate(members, start=1))[-MOST_NAMED:]
    up = info.objective.sign  # numbers are on the side of the front without trials
    for number, trial in named:
        axes.annotate(
            str(number),
            (info.x[info.front[number - 1]], trial.score),
            xytext=(-4, 5 * up),
            textcoords="offset points",
            ha="right",
            va="bottom" if up > 0 else "top",
            fontsize=9,
            fontweight="bold",
        )
    axes.set_xscale("log")
    log_ticks(axes.xaxis)
    axes.set_xlabel(COST_LABELS[info.cost])
    axes.set_ylabel(f"{axis_label(info.objective)}\nfront: ± std over folds")
    axes.grid(alpha=0.3, which="both")
    lines = [
        f"{number}  {shown_cost(info.x[info.front[number - 1]], info.cost)}:"
        f" {shown_spread(trial.score, trial.std)}\n    {trial.variant}, trial {trial.number}"
        f"{', baseline' if trial.origin else ''}"
        for number, trial in reversed(named)
    ]
    legend = figure.legend(
        *axes.get_legend_handles_labels(),
        loc="outside right upper",
        frameon=False,
        fontsize=9,
        title="\n".join(["Pareto front", *lines, ""]),
        title_fontsize=8,
        alignment="left",
    )
    legend.get_title().set_multialignment("left")
    return figure


def shown_cost(value: float, cost: Cost) -> str:
    """A cost with its unit."""
    return f"{value:,.0f} parameters" if cost == "num_params" else f"{value:.3g} s"
