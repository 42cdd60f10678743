"""Costs and finds of policies, over many random orders of a recorded sweep."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import geometric_mean

import numpy as np

from policy_tools.curves import Recording
from policy_tools.replay import Policy, Replay, Trial, Whole
from sweeps.reproduction.tables import Cells

GOOD = 3
"""Number of best trials that count as good."""
POINTS = 100
"""Points per unit of the objective."""
TODAY = "stopping at 1/9, 1/3"
"""Name of the policy to which others are compared."""
MUCH_CHEAPER = 0.95
"""Cost relative to `TODAY` up to which a policy counts as much cheaper."""


@dataclass(frozen=True, kw_only=True)
class Counted:
    """Costs and finds of a policy on a recorded sweep.

    A trial that is trained to its last epoch is whole.
    """

    name: str
    sees: str
    """When results are used, for tables."""
    cost_to_good: float
    """Cost until one of the best three trials is whole, in whole trials. This is the total cost of
    all sweeps divided by the number of sweeps that find one; a sweep that finds none counts with
    its whole cost."""
    cost_to_best: float
    """Cost until the best trial is whole, computed as `cost_to_good`."""
    lost_good: float
    """Fraction of sweeps in which none of the best three trials is trained whole."""
    lost_best: float
    """Fraction of sweeps in which the best trial is not trained whole."""
    regret: float
    """Mean difference between the best score and the best score of whole trials, in points."""
    regret_error: float
    """Standard error of `regret`."""
    cost: float
    """Mean cost of a sweep, in whole trials."""
    whole: float
    """Mean number of whole trials."""
    idle: dict[int, float]
    """Mean fraction of idle time by number of workers."""
    seconds: dict[int, float]
    """Seconds until one of the best three trials is whole, by number of workers, computed as
    `cost_to_good`."""


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
    """Replay a policy and count its costs and finds.

    Args:
        name: Name of the policy.
        sees: When results are used, for tables.
        recording: Recorded sweep with the random trials.
        policy: The policy.
        num_trials: Trials that are drawn for each order; the best of them are to be found.
        orders: Number of orders.
        seed: Seed of the orders, which are the same for every policy.
        workers: Numbers of workers; costs and finds are those of the first.
    """
    trials = [Trial(recording.means(curve), curve.seconds) for curve in recording.sampled]
    replays = {count: list[Replay]() for count in workers}
    times = {count: list[float | None]() for count in workers}
    regrets, to_good, to_best = [], [], []
    for drawn in _drawn(len(trials), num_trials, orders, seed):
        met = [trials[i] for i in drawn]
        finals = np.array([trial.final for trial in met])
        marks = np.sort(finals)[::-1]
        good = marks[min(GOOD, len(marks)) - 1]
        for count in workers:
            replays[count].append(policy(met, count))
            reached = _first(good, finals, replays[count][-1])
            times[count].append(None if reached is None else reached.seconds)
        first = replays[workers[0]][-1]
        for mark, costs in ((good, to_good), (marks[0], to_best)):
            reached = _first(mark, finals, first)
            costs.append(None if reached is None else reached.cost)
        found = max((finals[whole.trial] for whole in first.whole), default=finals.min())
        regrets.append(POINTS * (marks[0] - found))
    spent = [replay.cost for replay in replays[workers[0]]]
    return Counted(
        name=name,
        sees=sees,
        cost_to_good=_expected(to_good, spent),
        cost_to_best=_expected(to_best, spent),
        lost_good=float(np.mean([cost is None for cost in to_good])),
        lost_best=float(np.mean([cost is None for cost in to_best])),
        regret=float(np.mean(regrets)),
        regret_error=float(np.std(regrets) / np.sqrt(len(regrets))),
        cost=float(np.mean(spent)),
        whole=float(np.mean([len(replay.whole) for replay in replays[workers[0]]])),
        idle={n: float(np.mean([replay.idle for replay in of])) for n, of in replays.items()},
        seconds={n: _expected(times[n], [r.seconds for r in of]) for n, of in replays.items()},
    )


def share_repeated(
    recording: Recording, policy: Policy, *, num_trials: int, orders: int, seed: int, workers: int
) -> float:
    """Return the fraction of a policy's training that repeats epochs, over all orders."""
    trials = [Trial(recording.means(curve), curve.seconds) for curve in recording.sampled]
    replays = [
        policy([trials[i] for i in drawn], workers)
        for drawn in _drawn(len(trials), num_trials, orders, seed)
    ]
    return sum(done.repeated for done in replays) / sum(done.cost for done in replays)


def _drawn(recorded: int, num_trials: int, orders: int, seed: int) -> Iterator[np.ndarray]:
    for order in range(orders):
        yield np.random.default_rng([seed, order]).permutation(recorded)[:num_trials]


def _first(mark: float, finals: np.ndarray, replay: Replay) -> Whole | None:
    """Return the first whole trial whose score is at least `mark`; None if there is none."""
    return next((whole for whole in replay.whole if finals[whole.trial] >= mark), None)


def _expected(found: Sequence[float | None], costs: Sequence[float]) -> float:
    """Return the total cost per find; a sweep that finds nothing counts with its whole cost."""
    spent = sum(cost if at is None else at for at, cost in zip(found, costs, strict=True))
    finds = sum(at is not None for at in found)
    return spent / finds if finds else float("inf")


def policy_cells(title: str, rows: Sequence[Counted]) -> Cells:
    """Make the table of one recorded sweep, one row per policy."""
    return Cells(
        title=title,
        head=(
            "policy",
            "results count",
            f"cost to one of the best {GOOD}",
            "to the best",
            "lost, %",
            "regret, points",
            "cost",
            "whole",
        ),
        rows=tuple(
            (
                row.name,
                row.sees,
                f"{row.cost_to_good:.1f}",
                f"{row.cost_to_best:.1f}",
                f"{100 * row.lost_good:.0f}, {100 * row.lost_best:.0f}",
                f"{row.regret:.2f} ± {row.regret_error:.2f}",
                f"{row.cost:.1f}",
                f"{row.whole:.1f}",
            )
            for row in rows
        ),
    )


def _by_today(tables: Sequence[Sequence[Counted]]) -> Iterator[list[tuple[Counted, Counted]]]:
    """Yield for each policy its pairs with the policy `TODAY`, by recorded sweep."""
    today = [next(row for row in table if row.name == TODAY) for table in tables]
    for found in zip(*tables, strict=True):
        yield list(zip(found, today, strict=True))


def cost_cells(names: Sequence[str], tables: Sequence[Sequence[Counted]]) -> Cells:
    """Make the table of regrets and of costs relative to policy `TODAY`, one row per policy."""
    rows = []
    for pairs in _by_today(tables):
        ratios = [row.cost_to_good / by.cost_to_good for row, by in pairs]
        rows.append(
            (
                pairs[0][0].name,
                pairs[0][0].sees,
                *(
                    f"{ratio:.2f} ({row.regret:.2f})"
                    for ratio, (row, _) in zip(ratios, pairs, strict=True)
                ),
                f"{sum(ratio <= MUCH_CHEAPER for ratio in ratios)} of {len(ratios)}",
            )
        )
    return Cells(
        title=f"cost to one of the best {GOOD}, by that of {TODAY} (regret in points)",
        head=("policy", "results count", *names, f"at most {MUCH_CHEAPER}"),
        rows=tuple(rows),
    )


def time_cells(tables: Sequence[Sequence[Counted]]) -> Cells:
    """Make the table of times and idle times, one row per policy.

    Times are relative to the policy `TODAY` with the same number of workers.
    """
    workers = list(tables[0][0].idle)
    rows = []
    for pairs in _by_today(tables):
        times = [
            geometric_mean(row.seconds[n] / by.seconds[n] for row, by in pairs) for n in workers
        ]
        idle = [100 * np.mean([row.idle[n] for row, _ in pairs]) for n in workers]
        rows.append(
            (
                pairs[0][0].name,
                pairs[0][0].sees,
                *(f"{time:.2f}" for time in times),
                *(f"{share:.0f}" for share in idle),
            )
        )
    return Cells(
        title=(
            f"time to one of the best {GOOD}, by that of {TODAY} on as many workers (geometric"
            " mean of the recorded sweeps), and mean idle time"
        ),
        head=(
            "policy",
            "results count",
            *(f"time on {n}" for n in workers),
            *(f"idle on {n}, %" for n in workers),
        ),
        rows=tuple(rows),
    )
