"""What a sweep says at its start and end, and which commands it suggests."""

import shlex
from pathlib import Path

from rich.table import Table

from search_spaces.loading import SPACES, load_space
from search_spaces.space import SearchSpace
from sweeps.ledger import DEFAULT_TRIALS
from sweeps.settings import SweepSettings
from sweeps.summary import best_table
from sweeps.sweep import SweepEnd
from trainables.data.pairs import PairData
from trainables.programs import command, console
from trainables.tracking import DEFAULT_URI, absolute_uri, shown


def described(settings: SweepSettings, data: PairData) -> str:
    """What is swept, in one line."""
    grid = settings.sampler == "grid" and settings.trials is None
    budget = "the whole grid" if grid else f"{settings.trials or DEFAULT_TRIALS} trials"
    if settings.time_budget:
        budget += f" or {settings.time_budget:g} s"
    return (
        f"{' '.join(Path(s).stem for s in settings.space)}; {budget} of {settings.folds} folds on"
        f" {len(data.train)} {data.dataset} pairs; {settings.sampler} with {settings.scheduler}"
    )


def show_end(settings: SweepSettings, end: SweepEnd, name: str) -> None:
    """How the sweep of one space came to its end, with its best configurations."""
    table = best_table(end.ledger, settings.objective)
    counts = {
        state: sum(t.state.name == state for t in end.ledger.ended())
        for state in ("COMPLETE", "PRUNED", "FAIL")
    }
    console.print(
        f"{end.ledger.space.name}: {counts['COMPLETE']} trials complete,"
        f" {counts['PRUNED']} pruned, {counts['FAIL']} failed"
    )
    if table is not None:
        console.print(table)
    if end.hopeless:
        console.print(f"stopped: most trials failed. Last error: {end.last_error}")
    elif table is None and end.last_error:
        console.print(f"no trial is complete. Last error: {end.last_error}")
    if end.out_of_time and end.ledger.trials_left:
        console.print(
            f"time budget spent with {end.ledger.trials_left} trials to go; go on with:"
            f" {_resume_command(settings, name)} --time-budget SECONDS"
        )
    if end.waiting_records:
        problem = f" ({end.tracking_problem})" if end.tracking_problem else ""
        console.print(
            f"MLflow at {shown(settings.tracking_uri or '')} took not everything{problem}:"
            f" {end.waiting_records} records wait in {settings.storage}/{name};"
            f" send them with: {command('sweeps/replay.py', name)}{_storage(settings)}"
        )


def say_how_to_go_on(settings: SweepSettings, name: str) -> None:
    """After an interruption."""
    console.print(
        "interrupted; nothing that has ended is lost. Go on with:"
        f" {_resume_command(settings, name)}"
    )


def say_what_next(settings: SweepSettings, name: str, spaces: list[SearchSpace]) -> None:
    """Where the results are, and the next commands to type."""
    uri = settings.tracking_uri or ""
    here = uri == absolute_uri(DEFAULT_URI)
    look = f"open {shown(uri)}"
    if here and Path("Makefile").is_file():
        look = "make ui"
    elif uri.startswith("sqlite"):
        look = f"{command('mlflow')} ui --backend-store-uri {shlex.quote(uri)}"
    options = "" if here else f" --tracking-uri {shlex.quote(uri)}"
    if settings.experiment != SweepSettings.experiment:
        options += f" --experiment {shlex.quote(settings.experiment)}"
    best = f"best-{name}-{spaces[0].name}.yaml"
    trials = 2 * (settings.trials or DEFAULT_TRIALS)
    console.print(
        f"""
results are in MLflow, experiment {settings.experiment!r}, and in {settings.storage}/{name}
  look     {look}
  export   {command("analysis/export.py", "--sweep", name)}{options}
  measure  {command("sweeps/evaluate.py", best, "--rounds", "10")}
  more     {_resume_command(settings, name)} --trials {trials}"""
    )


def _resume_command(settings: SweepSettings, name: str) -> str:
    return f"{command('sweeps/run.py', '--resume', name)}{_storage(settings)}"


def _storage(settings: SweepSettings) -> str:
    default = settings.storage == SweepSettings.storage
    return "" if default else f" --storage {shlex.quote(settings.storage)}"


def spaces_table() -> Table:
    """The spaces that come with foldsweep."""
    table = Table(title="search spaces")
    table.add_column("space")
    table.add_column("trainable")
    table.add_column("searched", overflow="fold")
    table.add_column("baseline", overflow="fold")
    for name in SPACES:
        space = load_space(name)
        baseline = space.points[0].name if space.points else ""
        table.add_row(name, space.trainable.__name__, " ".join(space.searched), baseline)
    return table
