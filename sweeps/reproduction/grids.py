"""Grid searches of the reports: their sweeps, and the best points, which rows use."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.trial import TrialState
from rich.console import Console

from foldsweep.files import parsed, write_whole
from search_spaces.larger_digit.reports import grid_space
from sweeps.machines import Machines
from sweeps.resources import Allotment
from sweeps.settings import SweepSettings
from sweeps.study import JOURNAL_FILE
from sweeps.summary import outcome, ranking
from sweeps.sweep import SweepEnd, sweep_space
from sweeps.tracking.spool import identity_in
from trainables.presets.preset import Grid
from trainables.presets.registry import GRIDS
from trainables.tasks.samples import Data

RESULT_FILE = "grid.json"


@dataclass(frozen=True, kw_only=True)
class Found:
    """The result of a grid search."""

    best: Mapping[str, Any]
    """Best values on the grid's axes."""
    values: Mapping[str, Any]
    """The best values, and the values that the grid took from the grid before."""
    score: float
    std: float
    num_params: int
    trials: int
    """Number of points tried, with those that were stopped early or failed."""
    failed: int
    select_on_test: bool
    time_s: float
    """Seconds of training, summed over trials."""


def settled(grid: Grid, root: Path) -> Mapping[str, Any] | None:
    """Values that a grid takes from the grid before it, with that grid's best point.

    None if there is no grid before it, or that has no result: the report's values are used then.
    """
    if grid.after is None:
        return None
    before = found(GRIDS[grid.after], root)
    return None if before is None else before.values


def found(grid: Grid, root: Path) -> Found | None:
    """The result of a grid; None if it has not been swept to its end."""
    try:
        return Found(**parsed((root / grid.space / RESULT_FILE).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def chain(grid: Grid) -> list[Grid]:
    """A grid and the grids whose best points it depends on, in the order of sweeping."""
    before = chain(GRIDS[grid.after]) if grid.after else []
    return [*before, grid]


def sweep_grid(
    grid: Grid,
    settings: SweepSettings,
    data: Data,
    *,
    name: str,
    root: Path,
    allotment: Allotment,
    console: Console,
    machines: Machines | None = None,
) -> SweepEnd:
    """Sweep a grid, or resume its sweep, and store the result once it is complete."""
    values = settled(grid, root)
    space = grid_space(grid, values)
    folder = root / grid.space
    folder.mkdir(parents=True, exist_ok=True)
    end = sweep_space(
        settings,
        space,
        data,
        name=name,
        folder=folder,
        checkpoint_root=str(root.resolve()),
        tracking_uri=settings.tracking_uri or "",
        allotment=allotment,
        console=console,
        identity=identity_in(folder, within=root),
        machines=machines,
    )
    ranked = ranking(end.ledger, settings.objective)
    if ranked and not end.interrupted and not end.ledger.trials_left:
        best, ended = outcome(end.ledger, ranked[0]), end.ledger.ended()
        result = {
            "best": dict(best.values),
            "values": {**(grid.values if values is None else values), **best.values},
            "score": best.score,
            "std": best.std or 0.0,
            "num_params": best.num_params,
            "trials": len(ended),
            "failed": sum(trial.state == TrialState.FAIL for trial in ended),
            "select_on_test": settings.select_on_test,
            "time_s": sum(trial.train_time_s for trial in ended),
        }
        write_whole(folder / RESULT_FILE, json.dumps(result, indent=1) + "\n")
    return end


def is_started(grid: Grid, root: Path) -> bool:
    """Whether a sweep of the grid has been started."""
    return (root / grid.space / JOURNAL_FILE).exists()
