"""Commands that a sweep suggests: how to watch it, resume it, and use its results."""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from optuna.trial import TrialState

from foldsweep import names
from foldsweep.programs import command, console
from foldsweep.streams import escaped
from foldsweep.texts import text
from foldsweep.tracking import shown, sqlite_path, store_options
from sweeps.budget import DEFAULT_TRIALS
from sweeps.cell import Cell
from sweeps.comparable import comparable
from sweeps.handover import of_python
from sweeps.settings import SweepSettings
from sweeps.summary import ranking
from sweeps.sweep import SweepEnd


@dataclass(frozen=True, kw_only=True)
class Audience:
    """How a sweep was started, and how the user watches it."""

    by_call: bool = False
    """Whether a Python program started it, which also resumes it by a call; else a command did."""
    gave_task: bool = False
    """Whether the program gave a task, which it must also give to resume."""
    cell: Callable[[int], Cell] | None = None
    """In a notebook: returns the console for a space, by the number of the space. Else None."""
    ui: bool = False
    """Whether the MLflow UI is served beside the sweep."""


TYPED = Audience()


def say_how_to_go_on(settings: SweepSettings, name: str, audience: Audience) -> None:
    """Print how to resume after an interruption; not for a call, which raises it instead."""
    if not audience.by_call:
        console.print(text("commands.interrupted", resume=resume_command(settings, name)))


def what_is_lost(
    settings: SweepSettings, name: str, why: BaseException, audience: Audience = TYPED
) -> str:
    """Message after a service has been unavailable for too long, with the command to resume."""
    resume = resume_command(settings, name, audience)
    return text("commands.service-lost", why=escaped(str(why)), resume=resume)


def say_what_next(
    settings: SweepSettings,
    name: str,
    ends: Sequence[SweepEnd],
    audience: Audience = TYPED,
) -> None:
    """Print where the results are, and the next commands to run."""
    folder, experiment = settings.local_root / name, settings.experiment
    commands, store = [], _store(settings)
    in_mlflow = not any(end.waiting_records for end in ends)
    where = text("commands.results-in", folder=folder)
    if in_mlflow:
        where = text("commands.results-in-mlflow-too", folder=folder, experiment=experiment)
    if in_mlflow and not audience.by_call:
        complete = [end for end in ends if end.complete]
        if complete:
            sweeps = [name, *comparable(settings.local_root, name)]
            out = f"{name}.html"
            report = command("analysis/report.py", "--sweep", *sweeps, "--out", out, *store)
            compare = command("analysis/compare.py", "--sweep", *sweeps, *store)
            commands += [("report", report), ("compare", compare)]
        if complete and not settings.select_on_test:
            export = command("analysis/export.py", "--sweep", name, *store)
            commands.append(("export", export))
            space = _space_of_the_best(complete, settings)
            more = [*_data(settings), *store]
            measure = command("sweeps/evaluate.py", f"best-{name}-{space}.yaml", *more)
            commands.append(("then measure", measure))
            model = ("--sweep", f"{name}/{space}", "--register", name)
            commands.append(("register", command("analysis/export.py", *model, *more)))
        commands.append(("look", _look(settings, audience)))
    if settings.sampler != "grid" and not any(fails_again(end) for end in ends):
        raised = {"trials": 2 * (settings.trials or DEFAULT_TRIALS)}
        if settings.patience and any(end.ledger.has_stopped_paying for end in ends):
            raised["patience"] = 2 * settings.patience
        commands.append(("more", resume_command(settings, name, audience, **raised)))
    lines = [f"  {what:12} {line}" for what, line in commands]
    console.print("\n".join(["", where, *lines]))


def _space_of_the_best(ends: Sequence[SweepEnd], settings: SweepSettings) -> str:
    """Name of the space that is first in comparisons.

    They rank spaces by the expected score, or by the cross-validated one if not all have it.
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
    look = text("commands.pages-starting") if audience.ui else _look(settings, audience)
    return text("commands.watch", look=look)


def _look(settings: SweepSettings, audience: Audience) -> str:
    uri, options = settings.tracking_uri or "", _store(settings)
    if sqlite_path(uri) is None:
        return text("commands.open", uri=shown(uri))
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
        given = "SPACES, " if of_python(settings) else "TASK, " if audience.gave_task else ""
        words = "".join(f", {key}={value}" for key, value in more.items())
        place = f", storage={str(settings.local_root)!r}" if storage_option(settings) else ""
        return f"fs.sweep({given}resume={name!r}{place}{words})"
    words = "".join(f" --{key.replace('_', '-')} {value}" for key, value in more.items())
    return f"{command('sweeps/run.py', '--resume', name)}{storage_option(settings)}{words}"


def storage_option(settings: SweepSettings) -> str:
    """Option `--storage` with a space before it; empty for the default folder."""
    default = str(settings.local_root) == SweepSettings.storage
    return "" if default else f" --storage {shlex.quote(str(settings.local_root))}"
