"""What policies cost and find, over many random orders of a recorded sweep."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from policy_tools.curves import Recording
from policy_tools.replay import Policy, Replay, Trial
from sweeps.reproduction.tables import Cells

GOOD = 3
"""So many of the best trials count as good."""
POINTS = 100
"""Points in a whole of what is measured."""
TODAY = "stopping at 1/9, 1/3"
"""The policy that others are compared with."""
MUCH_CHEAPER = 0.95
LITTLE = 0.1
"""Points of regret that are little."""


@dataclass(frozen=True, kw_only=True)
class Counted:
    """A policy on a recorded sweep."""

    name: str
    sees: str
    cost_to_good: float
    """Whole trials trained until one of the best three was whole. Sweeps that lose all of them
    count with all their cost: total cost of all sweeps by the number of those that found one."""
    cost_to_best: float
    """The same until the best one was."""
    lost_good: float
    """Share of sweeps in which none of the best three was trained whole."""
    lost_best: float
    regret: float
    """Mean of the best score less the best of those that were trained whole, in points."""
    regret_error: float
    """Standard error of that mean."""
    cost: float
    """Of the sweep, in whole trials."""
    whole: float
    """Trials that were trained whole."""
    idle: dict[int, float]
    """Mean share of idle time by number of workers."""


def counted(
    name: str,
    sees: str,
    recording: Recording,
    policy: Policy,
    *,
    num_trials: int,
    orders: int,
    seed: int,
    workers: Sequence[int],
) -> Counted:
    """Replay a policy.

    Args:
        name: What it is called.
        sees: When results count.
        recording: Whose random trials it meets.
        policy: The policy.
        num_trials: Trials that are drawn for each order; the best of them are what is looked for.
        orders: How many orders.
        seed: Of the orders, which are the same for every policy.
        workers: Numbers of workers; cost and finds are those of the first.
    """
    trials = [Trial(recording.means(curve), curve.seconds) for curve in recording.sampled]
    replays = {count: list[Replay]() for count in workers}
    regrets, to_good, to_best = [], [], []
    for drawn in _drawn(len(trials), num_trials, orders, seed):
        met = [trials[i] for i in drawn]
        for count in workers:
            replays[count].append(policy(met, count))
        first = replays[workers[0]][-1]
        finals = np.array([trial.final for trial in met])
        marks = np.sort(finals)[::-1]
        to_good.append(_cost_to(marks[min(GOOD, len(marks)) - 1], finals, first))
        to_best.append(_cost_to(marks[0], finals, first))
        found = max((finals[i] for i, _ in first.whole), default=finals.min())
        regrets.append(POINTS * (marks[0] - found))
    costs = [replay.cost for replay in replays[workers[0]]]
    return Counted(
        name=name,
        sees=sees,
        cost_to_good=_expected(to_good, costs),
        cost_to_best=_expected(to_best, costs),
        lost_good=float(np.mean([cost is None for cost in to_good])),
        lost_best=float(np.mean([cost is None for cost in to_best])),
        regret=float(np.mean(regrets)),
        regret_error=float(np.std(regrets) / np.sqrt(len(regrets))),
        cost=float(np.mean(costs)),
        whole=float(np.mean([len(replay.whole) for replay in replays[workers[0]]])),
        idle={n: float(np.mean([replay.idle for replay in of])) for n, of in replays.items()},
    )


def _drawn(recorded: int, num_trials: int, orders: int, seed: int) -> Iterator[np.ndarray]:
    for order in range(orders):
        yield np.random.default_rng([seed, order]).permutation(recorded)[:num_trials]


def _cost_to(mark: float, finals: np.ndarray, replay: Replay) -> float | None:
    """The cost until a trial with such a score was whole, or None."""
    return next((cost for trial, cost in replay.whole if finals[trial] >= mark), None)


def _expected(found: Sequence[float | None], costs: Sequence[float]) -> float:
    """Cost by the number of finds, where a sweep that finds nothing is started again."""
    spent = sum(cost if at is None else at for at, cost in zip(found, costs, strict=True))
    finds = sum(at is not None for at in found)
    return spent / finds if finds else float("inf")


def policy_cells(title: str, rows: Sequence[Counted]) -> Cells:
    """A row for each policy."""
    workers = list(rows[0].idle)
    return Cells(
        title=title,
        head=(
            "policy",
            "results count",
            "cost to one of the best 3",
            "to the best",
            "lost, %",
            "regret, points",
            "cost",
            "whole",
            *(f"idle on {count}, %" for count in workers),
        ),
        rows=tuple(
            (
                row.name,
                row.sees,
                f"{row.cost_to_good:.1f}",
                f"{row.cost_to_best:.1f}",
                f"{100 * row.lost_good:.0f}, {100 * row.lost_best:.0f}",
                f"{row.regret:.3f} ± {row.regret_error:.3f}",
                f"{row.cost:.1f}",
                f"{row.whole:.1f}",
                *(f"{100 * row.idle[count]:.0f}" for count in workers),
            )
            for row in rows
        ),
    )


def summary_cells(names: Sequence[str], tables: Sequence[Sequence[Counted]]) -> Cells:
    """A row for each policy: its cost to one of the best three by that of today's, by table."""
    rows = []
    for found in zip(*tables, strict=True):
        ratios = [
            row.cost_to_good / next(r.cost_to_good for r in table if r.name == TODAY)
            for row, table in zip(found, tables, strict=True)
        ]
        idle = [list(row.idle.values())[-1] for row in found]
        rows.append(
            (
                found[0].name,
                found[0].sees,
                *(f"{ratio:.2f}" for ratio in ratios),
                f"{sum(ratio <= MUCH_CHEAPER for ratio in ratios)} of {len(ratios)}",
                f"{max(row.regret for row in found):.2f}",
                f"{sum(row.regret <= LITTLE for row in found)} of {len(found)}",
                f"{100 * np.mean(idle):.0f}",
            )
        )
    most = list(tables[0][0].idle)[-1]
    return Cells(
        title=f"cost to one of the best {GOOD}, by that of {TODAY}",
        head=(
            "policy",
            "results count",
            *names,
            f"at most {MUCH_CHEAPER}",
            "most regret, points",
            f"regret at most {LITTLE}",
            f"idle on {most}, %",
        ),
        rows=tuple(rows),
    )
