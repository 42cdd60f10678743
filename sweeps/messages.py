"""Messages of a sweep at its start and end, and the commands that it suggests."""

import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from optuna.trial import TrialState
from rich.console import Console, RenderableType

from foldsweep import names
from foldsweep.numbers import places_of, plural
from foldsweep.numbers import shown as shown_number
from foldsweep.programs import command, console
from foldsweep.streams import escaped
from foldsweep.tracking import shown, sqlite_path, store_options
from search_spaces.space import SearchSpace
from sweeps.budget import DEFAULT_TRIALS, num_asked, num_sampled
from sweeps.cell import Cell
from sweeps.handover import OF_PYTHON, of_python
from sweeps.jobs import lags_of, rungs_of
from sweeps.outcomes import failure_of, failures
from sweeps.payoff import LEAST_TRIED, MORE, expected_gain
from sweeps.pruning import LEAST_SAMPLED, in_force, reports, rung_epochs
from sweeps.samplers import ANY_TREE
from sweeps.settings import SweepSettings
from sweeps.summary import best_table, ranking
from sweeps.sweep import SweepEnd, most_epochs
from sweeps.tracking.spool import REJECTED_FILE
from sweeps.visible import GUIDED
from trainables.tasks.samples import Data
from trainables.tasks.task import Task


@dataclass(frozen=True, kw_only=True)
class Audience:
    """How a sweep was started, and how the user watches it."""

    by_call: bool = False
    """Whether a Python program started it, which also resumes it by a call; else a command did."""
    cell: Callable[[int], Cell] | None = None
    """In a notebook: returns the console for a space, by the number of the space. Else None."""
    ui: bool = False
    """Whether the MLflow UI is served beside the sweep."""


TYPED = Audience()


def described(settings: SweepSettings, task: Task, data: Data) -> str:
    """One-line description of a sweep: spaces, budget, data, sampler and scheduler."""
    grid = settings.sampler == "grid" and settings.trials is None
    budget = "the whole grid" if grid else f"{settings.trials or DEFAULT_TRIALS} trials"
    if settings.patience:
        budget += f", or {settings.patience} in a row without improvement,"
    if settings.time_budget:
        budget += f" or {settings.time_budget:g} s"
    each = " for each space," if len(settings.space) > 1 else ""
    return (
        f"{' '.join(map(_called, settings.space))}; {budget} of {settings.folds} folds{each} on"
        f" {len(data.train)} {data.name} {task.unit}; {settings.sampler} with {settings.scheduler}"
        f"{'; in bfloat16' if settings.precision == 'bfloat16' else ''}"
        f"{'; selected on test' if settings.select_on_test else ''}"
    )


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
    said = f"{space.name}: {_counted(sampled, settings)}"
    if in_force(settings, sampled) == "none":
        return f"{said}: no early stopping ({settings.scheduler} needs {LEAST_SAMPLED})"
    if stored is not None and in_force(stored, num_sampled(space, stored)) == "none":
        return f"{said}: early stopping from here on ({settings.scheduler})"
    return None


def sampled_by(settings: SweepSettings, space: SearchSpace, concurrency: int) -> str | None:
    """Message about the order in which the sampler sees results; None if it is as expected.

    Args:
        settings: Settings of the sweep.
        space: The space.
        concurrency: Trials at a time.
    """
    if settings.order == "trial" and not settings.by_trial:
        return (
            f"{space.name}: the sampler sees results as they arrive, so another machine or"
            " --concurrency may sample other trials"
        )
    rungs = rungs_of(settings, most_epochs(space, settings), space.most_rungs)
    first = lags_of(settings, len(rungs))[0]
    if not settings.by_trial or settings.sampler not in GUIDED or concurrency <= first:
        return None
    return (
        f"{space.name}: no more than {first} new trials at a time, so that the sweep is the same"
        f" at any concurrency; --order arrival or a longer --lag use all {concurrency} processes"
    )


def drawn_at_random(settings: SweepSettings, space: SearchSpace) -> str | None:
    """Message about conditional values that the sampler draws at random; None if it draws none."""
    conditional = [key for key in space.searched if key in space.tree.conditions]
    if not conditional or settings.sampler in ANY_TREE:
        return None
    return (
        f"{space.name}: {settings.sampler} draws {', '.join(conditional)} at random, since not all"
        " trials have them; tpe bases them on earlier results"
    )


def _counted(sampled: int, settings: SweepSettings) -> str:
    if settings.sampler == "grid":
        return f"{sampled} point{'s' * (sampled != 1)} of the grid"
    return f"{sampled} sampled trial{'s' * (sampled != 1)}"


def without_sampled(end: SweepEnd) -> str | None:
    """Warning if no sampled configuration was trained to the end; None if one was."""
    ledger = end.ledger
    states = Counter(t.state.name for t in ledger.ended() if t.is_sampled)
    if states["COMPLETE"] or end.interrupted:
        return None
    stopped = states["PRUNED"] + sum(n >= len(ledger.space.points) for n in ledger.paused())
    on_grid = ledger.settings.sampler == "grid"
    what = "configuration of the grid" if on_grid else "sampled configuration"
    first = "the baseline" if len(ledger.space.points) == 1 else "an initial point"
    best = f"the best is {first} by default" if end.complete else "there is no best"
    if stopped and on_grid:
        advice = "start a sweep with --scheduler none"
    elif stopped:
        advice = "try more trials (--trials) or --scheduler none"
    else:
        advice = "see why they failed" if states["FAIL"] else "try more trials (--trials)"
    return f"warning: no {what} was trained to the end, so {best}; {advice}"


def failed_apart(end: SweepEnd, settings: SweepSettings) -> list[str]:
    """One line for each kind of failure counted separately, with an example; one for redraws."""
    ended, name = end.ledger.ended(), end.ledger.space.name
    lines = []
    refused = failures(ended, names.REFUSED)
    if refused:
        first, more = refused[0], max(0, end.ledger.budget - num_asked(end.ledger.space, settings))
        instead = f", {more} more were tried instead" if more else ""
        lines.append(
            f"{name}: {plural(len(refused), 'configuration')} cannot be trained{instead};"
            f" for example trial {first.number}: {_error(end, first.number)}"
        )
    late = failures(ended, names.TIMED_OUT)
    if late:
        lines.append(
            f"{name}: {plural(len(late), 'trial')} took too long; for example trial"
            f" {late[0].number}: {_error(end, late[0].number)}"
        )
    by_themselves = len(late) + len(failures(ended, names.CRASHED))
    if by_themselves and settings.by_trial:
        lines.append(
            f"{name}: {plural(by_themselves, 'trial')} crashed or took too long; after that, the"
            " same sweep on another machine may sample other trials"
        )
    if end.ledger.redraws:
        drawn = "configuration" if end.ledger.redraws == 1 else "configurations"
        lines.append(
            f"{name}: {end.ledger.redraws:,} {drawn} sampled again to meet {end.ledger.gate}"
        )
    return lines


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
    counts = {
        state: sum(t.state.name == state for t in end.ledger.ended())
        for state in ("COMPLETE", "PRUNED", "FAIL")
    }
    early = f"{len(end.ledger.paused())} paused"
    if end.ledger.ends_early:
        early = f"{counts['PRUNED']} pruned"
    yield (
        f"{end.ledger.space.name}: {counts['COMPLETE']} trials complete, {early},"
        f" {counts['FAIL']} failed"
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
        yield f"stopped: {end.hopeless_because}. Last error: {end.last_error}"
    elif end.last_error:
        yield f"last error: {end.last_error}"
    if end.out_of_time and end.ledger.trials_left:
        yield (
            f"time budget spent with {end.ledger.trials_left} trials to go; continue with:"
            f" {resume_command(settings, name, audience, time_budget='SECONDS')}"
        )
    if end.ledger.has_stopped_paying:
        assert settings.patience is not None
        resume = resume_command(settings, name, audience, patience=2 * settings.patience)
        yield (
            f"stopped: {plural(settings.patience, 'trial')} in a row did not improve on the best"
            f" beyond the noise (--patience {settings.patience}); continue with: {resume}"
        )
    if end.refused:
        yield (
            f"MLflow at {shown(settings.tracking_uri or '')} refused {end.refused}; the study has"
            " all records"
        )
    if end.set_aside:
        file = settings.local_root / name / end.ledger.space.name / REJECTED_FILE
        yield f"invalid lines of the spool were not sent: see {file}"
    if end.waiting_records:
        problem = f" ({end.tracking_problem})" if end.tracking_problem else ""
        yield (
            f"MLflow at {shown(settings.tracking_uri or '')} did not accept all records{problem}:"
            f" {end.waiting_records} records wait in {settings.local_root / name};"
            f" send them with: {command('sweeps/replay.py', name)}{_storage(settings)}"
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
    yield (
        f"{ledger.space.name}: {MORE} more trials may be expected to gain about"
        f" {shown_number(gain, places=places_of(complete[0].score))} {names.bare(objective)}"
        f" (estimated from {tried} trials)"
    )


def say_how_to_go_on(settings: SweepSettings, name: str, audience: Audience) -> None:
    """Print how to resume after an interruption; not for a call, which raises it instead."""
    if audience.by_call:
        return
    console.print(
        f"interrupted; finished work is kept. Continue with: {resume_command(settings, name)}"
    )


def what_is_lost(
    settings: SweepSettings, name: str, why: BaseException, audience: Audience = TYPED
) -> str:
    """Message after a service has been unavailable for too long, with the command to resume."""
    return (
        f"{escaped(str(why))}; finished work is kept. Continue with:"
        f" {resume_command(settings, name, audience)}"
    )


def say_what_next(
    settings: SweepSettings,
    name: str,
    ends: Sequence[SweepEnd],
    audience: Audience = TYPED,
) -> None:
    """Print where the results are, and the next commands to run."""
    where = f"results are in {settings.local_root / name}"
    commands, store = [], _store(settings)
    if not any(end.waiting_records for end in ends):
        where += f" and in MLflow, experiment {settings.experiment!r}"
    if not audience.by_call and not any(end.waiting_records for end in ends):
        commands.append(("look", _look(settings, audience)))
        complete = [end for end in ends if end.complete]
        if complete:
            compare = command("analysis/compare.py", "--sweep", name, *store)
            commands.append(("compare", compare))
            out = f"{name}.html"
            report = command("analysis/report.py", "--sweep", name, "--out", out, *store)
            commands.append(("report", report))
        if complete and not settings.select_on_test:
            export = command("analysis/export.py", "--sweep", name, *store)
            commands.append(("export", export))
            space = _space_of_the_best(complete, settings)
            more = [*_data(settings), *store]
            measure = command("sweeps/evaluate.py", f"best-{name}-{space}.yaml", *more)
            commands.append(("measure", measure))
            model = ("--sweep", f"{name}/{space}", "--register", name)
            commands.append(("register", command("analysis/export.py", *model, *more)))
    if settings.sampler != "grid" and not any(fails_again(end) for end in ends):
        raised = {"trials": 2 * (settings.trials or DEFAULT_TRIALS)}
        if settings.patience and any(end.ledger.has_stopped_paying for end in ends):
            raised["patience"] = 2 * settings.patience
        commands.append(("more", resume_command(settings, name, audience, **raised)))
    lines = [f"  {what:8} {line}" for what, line in commands]
    console.print("\n".join(["", where, *lines]))


def _space_of_the_best(ends: Sequence[SweepEnd], settings: SweepSettings) -> str:
    """Name of the space with the best expected score, or cross-validated score if not all have one.

    Comparisons rank spaces in the same way.
    """
    objective = settings.objective
    scores = [end.expected_score for end in ends if end.expected_score is not None]
    if len(scores) < len(ends):
        scores = [ranking(end.ledger, objective)[0].score for end in ends]
    spaces = [end.ledger.space for end in ends]
    sign = names.sign(spaces[0].variant.task.better[objective[0]])
    return max(zip(scores, spaces, strict=True), key=lambda one: sign * one[0])[1].name


def fails_again(end: SweepEnd) -> bool:
    """Whether more trials of a space would probably fail: most or all have failed so far."""
    ended = end.ledger.ended()
    return end.hopeless or all(t.state == TrialState.FAIL for t in ended) and bool(ended)


def watch(settings: SweepSettings, audience: Audience) -> str:
    """Message at the start of a sweep: where to watch it."""
    look = "MLflow's pages are starting" if audience.ui else _look(settings, audience)
    return f"watch it: {look}"


def _look(settings: SweepSettings, audience: Audience) -> str:
    uri, options = settings.tracking_uri or "", _store(settings)
    if sqlite_path(uri) is None:
        return f"open {shown(uri)}"
    if audience.by_call:
        return shlex.join(["foldsweep", "ui", *options])
    if Path("Makefile").is_file() and not options:
        return "make ui"
    return command("analysis/ui.py", *options)


def _data(settings: SweepSettings) -> list[str]:
    """Option `--data` with the user's data file; empty if the data is not from a file."""
    return ["--data", settings.data] if settings.data and Path(settings.data).is_file() else []


def _store(settings: SweepSettings) -> list[str]:
    """Options with which analysis programs find the sweep's runs; never a password."""
    return store_options(settings.tracking_uri or "", settings.experiment)


def resume_command(
    settings: SweepSettings, name: str, audience: Audience = TYPED, **more: object
) -> str:
    """The command that resumes a sweep, or the call in a Python program.

    Args:
        settings: Settings of the sweep.
        name: Its name.
        audience: How the sweep was started.
        more: Further settings by name.
    """
    if audience.by_call or of_python(settings):
        spaces = "SPACES, " if of_python(settings) else ""
        words = "".join(f", {key}={value}" for key, value in more.items())
        place = f", storage={str(settings.local_root)!r}" if _storage(settings) else ""
        return f"fs.sweep({spaces}resume={name!r}{place}{words})"
    words = "".join(f" --{key.replace('_', '-')} {value}" for key, value in more.items())
    return f"{command('sweeps/run.py', '--resume', name)}{_storage(settings)}{words}"


def _storage(settings: SweepSettings) -> str:
    default = str(settings.local_root) == SweepSettings.storage
    return "" if default else f" --storage {shlex.quote(str(settings.local_root))}"
