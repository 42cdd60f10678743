"""Messages of a sweep at its start and end."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from optuna.trial import TrialState
from rich.console import Console, RenderableType

from foldsweep import names
from foldsweep.numbers import places_of, plural
from foldsweep.numbers import shown as shown_number
from foldsweep.programs import command, console
from foldsweep.texts import text
from foldsweep.tracking import shown
from search_spaces.space import SearchSpace
from sweeps.budget import DEFAULT_TRIALS, num_asked, num_sampled
from sweeps.cell import Cell
from sweeps.commands import TYPED, Audience, resume_command, storage_option
from sweeps.handover import OF_PYTHON
from sweeps.jobs import lags_of, rungs_of
from sweeps.outcomes import failure_of, failures
from sweeps.payoff import LEAST_TRIED, MORE, expected_gain
from sweeps.pruning import LEAST_SAMPLED, in_force, reports, rung_epochs
from sweeps.samplers import ANY_TREE
from sweeps.settings import SweepSettings
from sweeps.summary import best_table
from sweeps.sweep import SweepEnd, most_epochs
from sweeps.tracking.spool import REJECTED_FILE
from sweeps.visible import GUIDED
from trainables.tasks.samples import Data
from trainables.tasks.task import Task


def described(settings: SweepSettings, task: Task, data: Data) -> str:
    """One-line description of a sweep: spaces, budget, data, sampler and scheduler."""
    grid = settings.sampler == "grid" and settings.trials is None
    trials = settings.trials or DEFAULT_TRIALS
    budget = text("messages.whole-grid") if grid else text("messages.trials", trials=trials)
    if settings.patience:
        budget += text("messages.or-without-improvement", trials=settings.patience)
    if settings.time_budget:
        budget += text("messages.or-seconds", seconds=f"{settings.time_budget:g}")
    said = text(
        "messages.described",
        spaces=" ".join(map(_called, settings.space)),
        budget=budget,
        folds=settings.folds,
        each=text("messages.for-each-space") if len(settings.space) > 1 else "",
        rows=f"{len(data.train)} {data.name} {task.unit}",
        sampler=settings.sampler,
        scheduler=settings.scheduler,
    )
    if settings.precision == "bfloat16":
        said += text("messages.in-bfloat16")
    return said + (text("messages.selected-on-test") if settings.select_on_test else "")


def _called(space: str) -> str:
    return Path(space.removeprefix(OF_PYTHON)).stem


def stopping(
    settings: SweepSettings, space: SearchSpace, stored: SweepSettings | None
) -> str | None:
    """Message about early stopping at the start of a space; None if nothing is unexpected.

    Args:
        settings: Settings of the sweep.
        space: The space.
        stored: Settings that a resumed sweep had; None for a new one.
    """
    epochs = most_epochs(space, settings)
    at = reports(settings.scheduler, epochs, rung_epochs(epochs, space.most_rungs))
    if settings.scheduler == "none" or len(settings.objective) > 1 or len(at) == 1:
        return None
    sampled = num_sampled(space, settings)
    name, trials, by = space.name, _counted(sampled, settings), settings.scheduler
    if in_force(settings, sampled) == "none":
        return text(
            "messages.too-few-trials", space=name, trials=trials, scheduler=by, least=LEAST_SAMPLED
        )
    if stored is not None and in_force(stored, num_sampled(space, stored)) == "none":
        return text("messages.stops-early-now", space=name, trials=trials, scheduler=by)
    return None


def sampled_by(settings: SweepSettings, space: SearchSpace, concurrency: int) -> str | None:
    """Message about the order in which the sampler sees results; None if it is as expected.

    Args:
        settings: Settings of the sweep.
        space: The space.
        concurrency: Trials at a time.
    """
    if settings.order == "trial" and not settings.by_trial:
        return text("messages.order-of-arrival", space=space.name)
    rungs = rungs_of(settings, most_epochs(space, settings), space.most_rungs)
    first = lags_of(settings, len(rungs))[0]
    if not settings.by_trial or settings.sampler not in GUIDED or concurrency <= first:
        return None
    return text("messages.limited-by-lag", space=space.name, most=first, processes=concurrency)


def drawn_at_random(settings: SweepSettings, space: SearchSpace) -> str | None:
    """Message about conditional values that the sampler draws at random; None if it draws none."""
    conditional = [key for key in space.searched if key in space.tree.conditions]
    if not conditional or settings.sampler in ANY_TREE:
        return None
    keys = ", ".join(conditional)
    return text("messages.drawn-at-random", space=space.name, sampler=settings.sampler, keys=keys)


def _counted(sampled: int, settings: SweepSettings) -> str:
    if settings.sampler == "grid":
        return text("messages.of-the-grid", points=f"{sampled} point{'s' * (sampled != 1)}")
    return f"{sampled} sampled trial{'s' * (sampled != 1)}"


def without_sampled(end: SweepEnd) -> str | None:
    """Warning if no sampled configuration was trained to the end; None if one was."""
    ledger = end.ledger
    states = Counter(t.state.name for t in ledger.ended() if t.is_sampled)
    if states["COMPLETE"] or end.interrupted:
        return None
    stopped = states["PRUNED"] + sum(n >= len(ledger.space.points) for n in ledger.paused())
    on_grid = ledger.settings.sampler == "grid"
    best = text("messages.no-best")
    if end.complete:
        one = len(ledger.space.points) == 1
        best = text("messages.best-is-baseline" if one else "messages.best-is-initial-point")
    if stopped:
        advice = text("messages.no-scheduler" if on_grid else "messages.more-or-no-scheduler")
    else:
        advice = text("messages.see-why" if states["FAIL"] else "messages.more-trials")
    if on_grid:
        return text("messages.no-grid-point-complete", best=best, advice=advice)
    return text("messages.none-sampled-complete", best=best, advice=advice)


def failed_apart(end: SweepEnd, settings: SweepSettings) -> Iterator[str]:
    """One line for each kind of failure counted separately, with an example; one for redraws."""
    ended, space = end.ledger.ended(), end.ledger.space.name
    refused = failures(ended, names.REFUSED)
    if refused:
        number = refused[0].number
        more = end.ledger.budget - num_asked(end.ledger.space, settings)
        yield text(
            "messages.untrainable",
            space=space,
            configurations=plural(len(refused), "configuration"),
            instead=text("messages.tried-instead", more=more) if more > 0 else "",
            trial=number,
            error=_error(end, number),
        )
    late = failures(ended, names.TIMED_OUT)
    if late:
        number, trials = late[0].number, plural(len(late), "trial")
        error = _error(end, number)
        yield text("messages.timed-out", space=space, trials=trials, trial=number, error=error)
    by_themselves = len(late) + len(failures(ended, names.CRASHED))
    if by_themselves and settings.by_trial:
        trials = plural(by_themselves, "trial")
        yield text("messages.may-differ-elsewhere", space=space, trials=trials)
    if end.ledger.redraws:
        drawn, gate = plural(end.ledger.redraws, "configuration"), end.ledger.gate
        yield text("messages.redrawn", space=space, configurations=drawn, conditions=gate)


def _error(end: SweepEnd, number: int) -> str:
    return str(failure_of(end.ledger.frozen(number))[1])


def show_end(
    settings: SweepSettings,
    end: SweepEnd,
    name: str,
    audience: Audience = TYPED,
    shown: Console = console,
) -> None:
    """Show how the sweep of one space ended, with its best configurations."""
    lines = _end(settings, end, name, audience)
    if isinstance(shown, Cell):
        shown.update(*lines)
    else:
        for line in lines:
            shown.print(line)


def _end(
    settings: SweepSettings, end: SweepEnd, name: str, audience: Audience
) -> Iterator[RenderableType]:
    table = best_table(end.ledger, settings.objective)
    states = Counter(t.state.name for t in end.ledger.ended())
    space, complete, failed = end.ledger.space.name, states["COMPLETE"], states["FAIL"]
    if end.ledger.ends_early:
        pruned = states["PRUNED"]
        yield text("messages.ended", space=space, complete=complete, pruned=pruned, failed=failed)
    else:
        paused = len(end.ledger.paused())
        yield text(
            "messages.ended-pausing", space=space, complete=complete, paused=paused, failed=failed
        )
    warning = without_sampled(end)
    if warning:
        yield warning
    yield from failed_apart(end, settings)
    if table is not None:
        yield table
    if end.expected:
        yield end.expected
    yield from _gain(settings, end)
    if end.hopeless and end.ledger.trials_left:
        yield text("messages.given-up", why=end.hopeless_because, error=end.last_error)
    elif end.last_error:
        yield text("messages.last-error", error=end.last_error)
    if end.out_of_time and end.ledger.trials_left:
        resume = resume_command(settings, name, audience, time_budget="SECONDS")
        yield text("messages.out-of-time", left=end.ledger.trials_left, resume=resume)
    if end.ledger.has_stopped_paying:
        assert settings.patience is not None
        yield text(
            "messages.out-of-patience",
            trials=plural(settings.patience, "trial"),
            patience=settings.patience,
            resume=resume_command(settings, name, audience, patience=2 * settings.patience),
        )
    uri = shown(settings.tracking_uri or "")
    if end.refused:
        yield text("messages.records-refused", uri=uri, items=end.refused)
    if end.set_aside:
        file = settings.local_root / name / space / REJECTED_FILE
        yield text("messages.lines-not-sent", file=file)
    if end.waiting_records:
        yield text(
            "messages.records-wait",
            uri=uri,
            problem=f" ({end.tracking_problem})" if end.tracking_problem else "",
            records=end.waiting_records,
            folder=settings.local_root / name,
            replay=f"{command('sweeps/replay.py', name)}{storage_option(settings)}",
        )


def constant(settings: SweepSettings, ends: Sequence[SweepEnd]) -> str | None:
    """Message on the score of a constant prediction on the folds of all spaces; None without."""
    end = next((end for end in ends if end.constant is not None and end.complete), None)
    if end is None or end.constant is None:
        return None
    return text(
        "messages.of-most-frequent-class"
        if end.ledger.space.variant.task.kind == "classification"
        else "messages.of-mean",
        metric=names.bare(settings.objective[0]),
        score=shown_number(end.constant),
    )


def _gain(settings: SweepSettings, end: SweepEnd) -> Iterator[str]:
    """Expected gain of more trials, in a line; none without enough trials for an estimate."""
    ledger = end.ledger
    sampled = [t for t in ledger.ended() if t.is_sampled and t.state != TrialState.FAIL]
    tried = len(sampled) + sum(n >= len(ledger.space.points) for n in ledger.paused())
    complete = [t for t in sampled if t.state == TrialState.COMPLETE]
    several = len(settings.objective) > 1 or settings.sampler == "grid"
    if several or end.interrupted or tried < LEAST_TRIED or not complete:
        return
    objective = settings.objective[0]
    sign = names.sign(ledger.space.variant.task.better[objective])
    gain = expected_gain([sign * t.score for t in complete], tried)
    space, metric, places = ledger.space.name, names.bare(objective), places_of(complete[0].score)
    if round(gain, places) <= 0:
        yield text("messages.no-gain", space=space, more=MORE, metric=metric)
        return
    by = shown_number(gain, places=places)
    yield text("messages.expected-gain", space=space, more=MORE, gain=by, metric=metric)
