"""Selection of the sweeps for a comparison, a report or figures."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from analysis.load import open_store
from analysis.results import Sweep, compared_by, load_sweeps
from foldsweep.errors import UserError
from foldsweep.names import val_key
from foldsweep.numbers import plural
from foldsweep.programs import console
from foldsweep.texts import text
from foldsweep.tracking import default_experiment, tracking_uri

Rule = Literal["best", "one-se", "equivalent-smallest"]
"""Rule that chooses one configuration of a sweep, see `analysis.choice`."""
MOST_NAMED = 6
"""Largest number of other sweeps that a notice names."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Options that select sweeps, shared by all analysis programs that take several sweeps."""

    sweep: tuple[str, ...] = ()
    """Sweeps by name, NAME or NAME/SPACE [the latest]."""
    space: tuple[str, ...] = ()
    """The latest sweep of each of these spaces."""
    variant: tuple[str, ...] = ()
    """The latest sweep of each of these variants, VARIANT or TASK/VARIANT."""
    task: str | None = None
    """Only sweeps of this task [that of the latest sweep]."""
    dataset: str | None = None
    """Only sweeps on this data [that of the latest sweep]."""
    objective: str | None = None
    """Metric to compare by, such as roc_auc [the objective of the latest sweep]."""
    filter: str = ""
    """Only trials that pass this MLflow filter, such as "params.lr_schedule = 'cosine'"."""
    every: bool = False
    """Every sweep that matches, not only the latest."""
    experiment: str = field(default_factory=default_experiment)
    """MLflow experiment [MLFLOW_EXPERIMENT_NAME, else foldsweep]."""
    tracking_uri: str | None = None
    """MLflow server or store [MLFLOW_TRACKING_URI, else mlflow.db in this folder]."""


def check_rope(rope: float | None) -> None:
    """Refuse an invalid region of practical equivalence.

    Raises:
        UserError: If `rope` is below 0, infinite or NaN.
    """
    if rope is not None and not 0 <= rope < math.inf:
        raise UserError.of("selection.rope-out-of-range", rope=rope)


def selected(settings: Selection, *, notice: Callable[[str], None] = console.print) -> list[Sweep]:
    """The sweeps that a command line selects: of one task and data, compared by one metric.

    Each sweep has a complete trial. Without `sweep`, `space`, `variant` or `every`, the spaces of
    the latest sweep are selected; a notice names the other sweeps.

    Args:
        settings: The selection.
        notice: Called with one line for each sweep that is left out, with the reason.

    Raises:
        UserError: If no sweep is selected.
    """
    store = open_store(tracking_uri(settings.tracking_uri), settings.experiment)
    sweeps = load_sweeps(
        store,
        sweeps=settings.sweep,
        spaces=settings.space,
        variants=settings.variant,
        task=settings.task,
        dataset=settings.dataset,
        matching=settings.filter,
        notice=notice,
    )
    whole = [s for s in sweeps if s.complete]
    if not whole:
        whose = ", ".join(s.name for s in sweeps)
        if settings.filter:
            raise UserError.of("selection.none-passes", sweeps=whose, filter=settings.filter)
        raise UserError.of("selection.no-complete-trial", sweeps=whose)
    for s in sweeps:
        if not s.complete and (settings.sweep or s.group == sweeps[0].group):
            notice(text("selection.none-complete", sweep=s.name))
    if settings.every or settings.sweep:
        return alike(whole, settings.objective, notice=notice)
    of_one_task = _of_one_task(whole, notice)
    latest = _latest(of_one_task, settings)
    _tell_of_others(latest, of_one_task, notice)
    return _by_one_metric(latest, settings.objective, notice)


def alike(
    sweeps: Sequence[Sweep],
    objective: str | None = None,
    *,
    notice: Callable[[str], None] = console.print,
) -> list[Sweep]:
    """The sweeps that can be compared with the first one: those of its task, on its data.

    Args:
        sweeps: Sweeps that each have a complete trial.
        objective: Metric to compare by [that of the first sweep].
        notice: Called with one line for each sweep that is left out, with the reason.

    Raises:
        UserError: If no sweep has measured the metric.
    """
    return _by_one_metric(_of_one_task(sweeps, notice), objective, notice)


def _latest(sweeps: Sequence[Sweep], settings: Selection) -> list[Sweep]:
    """The latest sweep of each requested space or variant, or the spaces of the latest sweep."""
    if not (settings.space or settings.variant):
        return [sweep for sweep in sweeps if sweep.group == sweeps[0].group]
    newest: dict[str, Sweep] = {}
    for sweep in sweeps:
        newest.setdefault(sweep.space if settings.space else sweep.variant, sweep)
    return list(newest.values())


def _tell_of_others(
    chosen: Sequence[Sweep], sweeps: Sequence[Sweep], notice: Callable[[str], None]
) -> None:
    """Name the sweeps that are not chosen, first those of a chosen variant with more trials."""
    names = {sweep.name for sweep in chosen}
    others = [sweep for sweep in sweeps if sweep.name not in names]
    for sweep in chosen:
        larger = [s for s in others if s.variant == sweep.variant and s.asked > sweep.asked]
        if larger:
            most = max(larger, key=lambda s: s.asked)
            notice(
                text(
                    "selection.larger",
                    latest=sweep.name,
                    trials=plural(sweep.asked, "trial"),
                    larger=most.name,
                    more_trials=plural(most.asked, "trial"),
                    sweep=most.group,
                )
            )
    groups = list(dict.fromkeys(sweep.group for sweep in others))
    if groups:
        named = ", ".join(groups[:MOST_NAMED]) + (", ..." if len(groups) > MOST_NAMED else "")
        shown = ", ".join(dict.fromkeys(sweep.group for sweep in chosen))
        notice(text("selection.latest-only", sweeps=shown, others=named))


def _of_one_task(sweeps: Sequence[Sweep], notice: Callable[[str], None]) -> list[Sweep]:
    """Sweeps of the latest sweep's task and data. A notice names the other tasks and data sets."""
    latest = sweeps[0]
    same_task = [s for s in sweeps if s.task == latest.task]
    chosen = [s for s in same_task if s.dataset == latest.dataset]
    tasks = sorted({s.task for s in sweeps} - {latest.task})
    datasets = sorted({s.dataset for s in same_task} - {latest.dataset})
    others = [f"--task {' or '.join(tasks)}"] * bool(tasks)
    others += [f"--dataset {' or '.join(datasets)}"] * bool(datasets)
    if others:
        which = [text("selection.of-task", task=latest.task)] * bool(tasks)
        which += [text("selection.on-data", data=latest.dataset)] * bool(datasets)
        notice(text("selection.only", which=" ".join(which), others=", ".join(others)))
    return chosen


def _by_one_metric(
    sweeps: Sequence[Sweep], asked: str | None, notice: Callable[[str], None]
) -> list[Sweep]:
    """Sweeps that have measured the requested metric, else the latest sweep's, compared by it.

    Raises:
        UserError: If no sweep has measured the metric.
    """
    measure = sweeps[0].measure
    if asked is not None:
        key = val_key(asked)
        known = {k: o for s in sweeps for k, o in s.metrics.items() if o.by_fold}
        if key not in known:
            there = ", ".join(sorted(o.name for o in known.values()))
            raise UserError.of("selection.objective-unmeasured", objective=asked, known=there)
        measure = known[key]
    chosen = []
    for sweep in sweeps:
        other = compared_by(sweep, measure)
        if not other.complete:
            notice(text("selection.unmeasured", sweep=sweep.name, metric=measure.name))
            continue
        if sweep.measure.key != measure.key:
            notice(
                text(
                    "selection.compared-by",
                    sweep=sweep.name,
                    optimised=sweep.measure.name,
                    metric=measure.name,
                )
            )
        chosen.append(other)
    if not chosen:
        raise UserError.of("selection.objective-without-trial", objective=asked)
    return chosen
