"""Expected score of a sweep's best trial on fresh data, from the trials' held-out files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int
from optuna.trial import TrialState
from rich.console import Console

from foldsweep import names
from foldsweep.numbers import places_of, shown, shown_seconds
from foldsweep.texts import text
from sweeps.bootstrap import Expected, expected_of_rows, expected_over_all, plan_of
from sweeps.ledger import Ledger
from sweeps.outcomes import Ended
from sweeps.tracking.tracker import Tracker
from trainables.stack.held_out import HeldOut
from trainables.tasks.samples import Data
from trainables.tasks.task import Task

LONG_S = 5.0
"""Estimated seconds from which on a bootstrap is announced."""


def log_expected(
    ledger: Ledger,
    tracker: Tracker,
    data: Data,
    *,
    objective: str,
    folder: Path,
    seed: int,
    console: Console,
) -> tuple[str, float | None]:
    """Log the expected score of the best trial, by the first objective, to the sweep's run.

    Args:
        ledger: The sweep's study.
        tracker: The sweep's spool.
        data: Data on which trials were validated.
        objective: Key of the first objective.
        folder: Folder of the trials' held-out files.
        seed: Seed of the bootstrap.
        console: Console on which a long bootstrap is announced.

    Returns:
        A line for the user, empty if there is nothing to say; and the score, None if not known.
    """
    task = ledger.space.variant.task
    ended = ledger.ended()
    complete = [t for t in ended if t.state == TrialState.COMPLETE]
    if len(complete) < 2 or not folder.is_dir():
        return "", None
    paths = [folder / names.held_out_file(t.number) for t in complete]
    first = next((held for path in paths if (held := read_held_out(path)) is not None), None)
    missing = [
        t.number
        for t, path in zip(complete, paths, strict=True)
        if first is None or not _fits(read_held_out(path), first)
    ]
    if missing:
        trials = f"trial{'s' * (len(missing) > 1)} {_listed(missing)}"
        return text("expectation.unknown", trials=trials), None
    assert first is not None
    sign = names.sign(task.better[objective])
    unit = units_of(task, data)
    if first.kind == "metric":
        values = np.stack([_read(path).values for path in paths])
        found = expected_of_rows(values, first.fold, unit, sign=sign, seed=seed)
    else:
        of = (task, data, complete, paths, first, objective, unit)
        found = _over_all(*of, sign=sign, seed=seed, console=console)
    if found is None:
        return "", None
    metrics = {
        names.bootstrap_key(objective): found.value,
        names.bootstrap_low_key(objective): found.low,
        names.bootstrap_high_key(objective): found.high,
        names.bootstrap_trials_key(objective): float(found.trials),
    }
    tracker.log_metrics(None, metrics, step=len(ended))
    stopped = bool(ledger.paused()) or any(t.state == TrialState.PRUNED for t in ended)
    return _described(ledger.space.name, objective, found, stopped=stopped), found.value


def units_of(task: Task, data: Data) -> Int[np.ndarray, " n"]:
    """Resampling unit of each row, drawn whole: its group if rows have groups, else the row."""
    groups = data.train.groups
    if groups is None or (task.split.kind == "given" and task.split.fold_of is None):
        return np.arange(len(data.train))  # here the groups are the folds
    return np.unique(groups, return_inverse=True)[1]


def read_held_out(path: Path) -> HeldOut | None:
    """Read a trial's held-out file; None if it is missing or damaged."""
    try:
        return HeldOut.from_bytes(path.read_bytes())
    except (OSError, ValueError):
        return None


def _read(path: Path) -> HeldOut:
    return HeldOut.from_bytes(path.read_bytes())


def _fits(held: HeldOut | None, first: HeldOut) -> bool:
    """Whether two held-out files have the same objective, rows and folds."""
    return (
        held is not None
        and (held.key, held.kind) == (first.key, first.kind)
        and held.values.shape == first.values.shape
        and np.array_equal(held.fold, first.fold)
    )


def _over_all(
    task: Task,
    data: Data,
    complete: Sequence[Ended],
    paths: Sequence[Path],
    first: HeldOut,
    objective: str,
    unit: Int[np.ndarray, " n"],
    *,
    sign: int,
    seed: int,
    console: Console,
) -> Expected | None:
    by_fold = np.array([t.by_fold for t in complete])
    columns = int(np.prod(first.values.shape[2:]))
    plan = plan_of(by_fold, first.fold, columns=columns, sign=sign)
    if plan.seconds >= LONG_S:
        seconds = shown_seconds(plan.seconds)
        console.print(text("expectation.takes", trials=len(plan.trials), seconds=seconds))
    measure = next(m for name, m in task.metrics.items() if names.val_key(name) == objective).of
    target = data.train.targets[task.target]
    if target.shape[1:] == (1,) and first.values.ndim == 2:
        target = target[:, 0]  # the shape that estimators predict
    predictions = {i: _read(paths[i]).predictions() for i in plan.trials}
    rows = (target, predictions, first.fold, unit, by_fold)
    return expected_over_all(measure, *rows, plan=plan, sign=sign, seed=seed)


def _described(space: str, objective: str, found: Expected, *, stopped: bool) -> str:
    places = places_of(found.value)
    value, low, high = (shown(v, places=places) for v in (found.value, found.low, found.high))
    return text(
        "expectation.score",
        space=space,
        metric=names.bare(objective),
        value=value,
        low=low,
        high=high,
        complete=found.trials,
        caveat=text("expectation.stopping-not-corrected") if stopped else "",
    )


def _listed(numbers: Sequence[int], most: int = 5) -> str:
    first = ", ".join(map(str, numbers[:most]))
    return first if len(numbers) <= most else text("expectation.and-others", numbers=first)
