"""Chaos test: kill and resume sweeps, then compare them with an undisturbed one.

Run as `python -m tests.chaos`. Exit codes: 0 no difference, 1 a difference or another fault, 2 a
mistake in the command line.
"""

import json
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console

from foldsweep.errors import UserError
from foldsweep.programs import console, parse, require_at_least, run_program
from sweeps.provenance import machine
from sweeps.reproduction.tables import Cells, marked_text, write_between_marks
from tests.chaos.moments import lines_in
from tests.chaos.outcome import SWEEP, WHAT, Difference, Outcome, differences, outcome_of
from tests.chaos.processes import KINDS, Kind, adopt_orphans, end_all
from tests.chaos.sweeping import SPACE, SPACE_FILE, Kill, Life, Sweeping

BLOCK = "chaos"
REFERENCE = "peace"
NEVER_HIT = "none"
LEAST_WIDTH = 110
MOST_SHOWN = 6
"""Upper bound on the differences printed per sweep."""


@dataclass(frozen=True, kw_only=True)
class ChaosSettings:
    """Kill sweeps at random moments, resume them, and compare with an undisturbed sweep."""

    seed: int = 0
    """Seed of the kinds and moments of kills; the code that runs at a moment depends on timing."""
    kills: int = 100
    kinds: tuple[Kind, ...] = ()
    """Kinds of processes to kill [all of them]."""
    trials: int = 24
    """Trials per sweep; more sweeps are started until all kills are spent."""
    concurrency: int = 1
    """Trials at a time in killed sweeps; the undisturbed sweep runs one at a time.

    The results of all sweeps must be equal.
    """
    folder: Path | None = None
    """Working folder, new or empty [a temporary folder, kept only if there is a fault]."""
    write: Path | None = None
    """Document whose table is replaced, such as docs/reliability.md."""


@dataclass(kw_only=True)
class Result:
    """Kills and differences of all sweeps."""

    lives: list[Life]
    found: dict[int, list[Difference]]
    """Differences by number of the sweep."""
    trials: int
    minutes: float

    @property
    def kills(self) -> list[Kill]:
        """Kills of all sweeps."""
        return [kill for life in self.lives for kill in life.kills]

    @property
    def faults(self) -> list[str]:
        """Faults, one per line; of differences, the first `MOST_SHOWN` per sweep, one per trial
        and kind.

        Early differences cause later ones, since sampler and early stopping use earlier results.
        """
        lines = [fault for life in self.lives for fault in life.faults]
        for sweep, found in self.found.items():
            first = {(d.trial, d.what): d for d in reversed(found)}
            for d in list(reversed(first.values()))[:MOST_SHOWN]:
                what = "the sweep" if d.trial == SWEEP else f"trial {d.trial}"
                hit = ", ".join(self._hits(sweep, d.trial)) or NEVER_HIT
                lines.append(f"chaos-{sweep}, {what} (killed: {hit}): {d.what}: {d.text}")
            if len(first) > MOST_SHOWN:
                lines.append(f"chaos-{sweep}: {len(first) - MOST_SHOWN} more, in chaos.json")
        return lines

    def _hits(self, sweep: int, trial: int) -> list[str]:
        return [k.kind for k in self.kills if k.sweep == sweep and trial in k.trials]

    def trials_with(self, what: str, kind: str | None = None) -> int:
        """Number of trials with a difference of kind `what`; a sweep's own run counts as one.

        If `kind` is given, count only trials that a kill of this kind has hit, or with `NEVER_HIT`
        those that no kill has hit.
        """
        with_it = {
            (s, d.trial) for s, found in self.found.items() for d in found if d.what == what
        }
        if kind is None:
            return len(with_it)
        hits = [set(self._hits(*place)) or {NEVER_HIT} for place in with_it]
        return sum(kind in of for of in hits)


def main() -> int:
    """Run the kills that the command line requests; return the exit code."""
    settings = parse(ChaosSettings, sys.argv[1:], prog="tests/chaos")
    require_at_least(1, settings, "kills", "concurrency")
    require_at_least(12, settings, "trials")  # nothing is stopped early in smaller sweeps
    if settings.write is not None:
        marked_text(settings.write, [BLOCK])
    adopt_orphans()
    folder = _made(settings.folder)
    try:
        result = _run(settings, folder)
    finally:
        end_all()
    wide = Console(width=max(console.width, LEAST_WIDTH), markup=False)
    wide.print(cells(result).rich())
    for line in [*result.faults, summary(result)]:
        console.print(line)
    (folder / "chaos.json").write_text(json.dumps(_plain(settings, result), indent=2) + "\n")
    if settings.write is not None:
        write_between_marks(settings.write, {BLOCK: block(settings, result)})
    if result.faults or settings.folder is not None:
        console.print(f"logs, study and all figures are in {folder}")
    else:
        shutil.rmtree(folder)
    return int(bool(result.faults))


def _made(folder: Path | None) -> Path:
    if folder is None:
        return Path(tempfile.mkdtemp(prefix="foldsweep-chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise UserError(f"--folder {folder} is not empty")
    return folder.resolve()


def _run(settings: ChaosSettings, folder: Path) -> Result:
    started = time.monotonic()
    options = {
        "space": SPACE_FILE,
        "dataset": "digits",
        "train-pairs": 120,
        "test-pairs": 20,
        "folds": 2,
        "trials": settings.trials,
        "sampler": "tpe",
        "scheduler": "asha",
        "checkpoint-every-s": 0,
        "max-failures": settings.kills,
    }
    args = [part for key, value in options.items() for part in (f"--{key}", str(value))]
    sweeping = Sweeping(folder, args, settings.kinds or KINDS, console.print)

    def outcome(name: str) -> Outcome:
        return outcome_of(sweeping.place(name), folder / "mlflow.db", f"{name}/{SPACE}")

    sweeping.undisturbed(REFERENCE, concurrency=1)
    wanted, lines = outcome(REFERENCE), lines_in(sweeping.place(REFERENCE))
    result = Result(lives=[], found={}, trials=0, minutes=0.0)
    while (left := settings.kills - len(result.kills)) > 0:
        number = len(result.lives)
        rng = random.Random(f"{settings.seed}/{number}")
        life = sweeping.disturbed(number, rng, left, lines, concurrency=settings.concurrency)
        result.lives.append(life)
        result.found[number] = differences(wanted, outcome(life.name))
        result.trials += settings.trials
        console.print(
            f"sweep {number}: done after {len(life.kills)} kills and {life.starts} starts,"
            f" {len(result.found[number])} differences"
        )
        if life.faults and not life.kills:
            break  # further sweeps would fail in the same way
    result.minutes = (time.monotonic() - started) / 60
    return result


def cells(result: Result) -> Cells:
    """Table with one row for each kind of kill."""
    head = (
        "killed",
        "kills",
        "ended the program",
        "after s, median (most)",
        "said how to resume",
        "tracebacks",
        *(
            f"trials {what}"
            for what in ("lost", "doubled", "in another state", "with other scores")
        ),
    )
    kinds = [kind for kind in KINDS if any(k.kind == kind for k in result.kills)]
    rows = [_row(kind, [k for k in result.kills if k.kind == kind], result) for kind in kinds]
    if any(result.trials_with(what, NEVER_HIT) for what in WHAT):
        rows.append(_row(NEVER_HIT, [], result))
    totals = tuple(str(result.trials_with(what)) for what in WHAT)
    rows.append((*_figures("all", result.kills), *totals))
    return Cells(title="kills", head=head, rows=tuple(rows))


def _row(kind: str, kills: Sequence[Kill], result: Result) -> tuple[str, ...]:
    return (*_figures(kind, kills), *(str(result.trials_with(what, kind)) for what in WHAT))


def _figures(kind: str, kills: Sequence[Kill]) -> tuple[str, ...]:
    ended = [kill for kill in kills if kill.ended]
    seconds = [kill.seconds for kill in ended]
    times = f"{statistics.median(seconds):.0f} ({max(seconds):.0f})" if seconds else ""
    told, tracebacks = sum(k.told for k in ended), sum(k.traceback for k in ended)
    return kind, str(len(kills)), str(len(ended)), times, str(told), str(tracebacks)


def summary(result: Result) -> str:
    """One-line summary of the result."""
    lost, doubled, state, score = (result.trials_with(what) for what in WHAT)
    return (
        f"{len(result.kills)} kills in {len(result.lives)} sweeps, {result.trials} trials in all,"
        f" {result.minutes:.0f} min: {lost} lost, {doubled} doubled, {state} in another state,"
        f" {score} with other scores"
    )


def block(settings: ChaosSettings, result: Result) -> str:
    """Text for the document: command, machine, summary and table."""
    default, shown = ChaosSettings(), ("seed", "kills", "folder", "write")
    options = "".join(
        f" --{key} {' '.join(value) if isinstance(value, tuple) else value}"
        for key, value in asdict(settings).items()
        if key not in shown and value != getattr(default, key)
    )
    command = f"python -m tests.chaos --seed {settings.seed} --kills {settings.kills}{options}"
    return (
        f"`{command}` on {machine()}, {os.cpu_count()} CPUs: {summary(result)}.\n\n"
        f"{cells(result).markdown()}"
    )


def _plain(settings: ChaosSettings, result: Result) -> dict[str, object]:
    kept = {key: str(value) for key, value in asdict(settings).items()}
    return {"settings": kept, **asdict(result), "faults": result.faults}


if __name__ == "__main__":
    run_program(main)
