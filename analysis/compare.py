"""Which is better, and is it really? `python analysis/compare.py`."""

import csv
import io
import json
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console
from rich.table import Table

from analysis import words
from analysis.comparison import Comparison, Row, as_dict, compare, row_dict, spread
from analysis.load import open_store
from analysis.results import Sweep, compared_by, latest_of_each, load_sweeps
from foldsweep.errors import UserError
from foldsweep.names import val_key
from foldsweep.numbers import shown_seconds, shown_spread, signed
from foldsweep.programs import command, console, parse, run_program
from foldsweep.tracking import tracking_uri

LOG_WIDTH = 160


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which sweeps; what all programs of analysis that take several have in common."""

    sweep: tuple[str, ...] = ()
    """Sweeps by name, NAME or NAME/SPACE [the latest sweep of each variant]."""
    space: tuple[str, ...] = ()
    """Only sweeps of these spaces."""
    variant: tuple[str, ...] = ()
    """Only sweeps of these variants, VARIANT or TASK/VARIANT."""
    task: str | None = None
    """Only sweeps of this task [that of the latest sweep]."""
    dataset: str | None = None
    """Only sweeps on this data [that of the latest sweep]."""
    objective: str | None = None
    """Metric to compare by, such as roc_auc [the objective of the latest sweep]."""
    filter: str = ""
    """Only trials that pass this MLflow filter, such as "params.lr_schedule = 'cosine'"."""
    by: Literal["variant", "sweep"] = "variant"
    """A row for each variant, its latest sweep; or one for each sweep."""
    experiment: str = "foldsweep"
    """MLflow experiment."""
    tracking_uri: str | None = None
    """MLflow server or store [MLFLOW_TRACKING_URI, else mlflow.db in this folder]."""


@dataclass(frozen=True, kw_only=True)
class CompareSettings(Selection):
    """Compare sweeps: a row for each variant, then whether the differences are real."""

    rope: float | None = None
    """Scores closer than this are practically equal [as the task says of the metric]."""
    csv: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Write the table to this file; - prints it, and nothing else."""
    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Write table and tests to this file; - prints them, and nothing else."""


def main() -> int:
    """Compare what the command line asks for; returns the exit code."""
    settings = parse(CompareSettings, sys.argv[1:], prog="analysis/compare.py")
    check_rope(settings.rope)
    piped = "-" in (str(settings.csv), str(settings.json))
    sweeps = selected(settings, notice=_to_stderr if piped else console.print)
    comparison = compare(sweeps, rope=settings.rope, by_variant=settings.by == "variant")
    texts = {settings.csv: as_csv, settings.json: as_json}
    for path, text in texts.items():
        if path is not None and str(path) != "-":
            try:
                path.write_text(text(comparison))
            except OSError as error:
                raise UserError(f"{path} cannot be written: {error.strerror}") from None
    printed = [text for path, text in texts.items() if str(path) == "-"]
    for text in printed:
        print(text(comparison), end="")
    if not printed:
        show(comparison)
    return 0


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr)


def check_rope(rope: float | None) -> None:
    """Refuse a region of practical equivalence that cannot be meant.

    Raises:
        UserError: If it is below 0 or infinite.
    """
    if rope is not None and not 0 <= rope < math.inf:
        raise UserError(f"--rope must be at least 0, but is {rope}")


def selected(settings: Selection, *, notice: Callable[[str], None] = console.print) -> list[Sweep]:
    """The sweeps that a command line asks for: of one task, on one data, compared by one metric.

    Each has a complete trial.

    Args:
        settings: What is asked for.
        notice: Told in a line each what is left out, and why.

    Raises:
        UserError: If there is none.
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
        why = f" that passes {settings.filter!r}" if settings.filter else " yet"
        raise UserError(f"{', '.join(s.name for s in sweeps)}: no complete trial{why}")
    for s in sweeps:
        if not s.complete and settings.sweep:
            notice(f"{s.name} is left out: no complete trial yet")
    chosen = _by_one_metric(_of_one_task(whole, notice), settings.objective, notice)
    return latest_of_each(chosen) if settings.by == "variant" else chosen


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
        which = f"of task {latest.task}" if tasks else ""
        which += f"{' ' if tasks and datasets else ''}{f'on {latest.dataset}' if datasets else ''}"
        notice(f"only sweeps {which}, the latest; for others {', '.join(others)}")
    return chosen


def _by_one_metric(
    sweeps: Sequence[Sweep], asked: str | None, notice: Callable[[str], None]
) -> list[Sweep]:
    """All that have measured the metric asked for, or else the latest sweep's, compared by it.

    Raises:
        UserError: If no sweep has measured it.
    """
    measure = sweeps[0].measure
    if asked is not None:
        key = val_key(asked)
        known = {k: o for s in sweeps for k, o in s.metrics.items() if o.by_fold}
        if key not in known:
            there = ", ".join(sorted(o.name for o in known.values()))
            raise UserError(f"--objective {asked} was not measured: choose {there}")
        measure = known[key]
    chosen = []
    for sweep in sweeps:
        other = compared_by(sweep, measure)
        if not other.complete:
            notice(f"{sweep.name} is left out: it has not measured {measure.name}")
            continue
        if sweep.measure.key != measure.key:
            notice(
                f"{sweep.name} optimised {sweep.measure.name}; here it is compared by"
                f" {measure.name}"
            )
        chosen.append(other)
    if not chosen:
        raise UserError(f"--objective {asked}: no complete trial has measured it")
    return chosen


def show(comparison: Comparison) -> None:
    """Print the comparison: words first, then the table, then the tests."""
    console.print(words.headline(comparison))
    for sentence in words.sentences(comparison):
        console.print(sentence)
    advice = words.advice(comparison)
    if advice is not None:
        console.print(f"{advice}:\n  {finals_commands(comparison)}")
    wide = Console(
        highlight=False,
        markup=False,
        emoji=False,
        width=None if console.is_terminal else LOG_WIDTH,
    )
    wide.print(_row_table(comparison))
    if comparison.tests:
        wide.print(_test_table(comparison))
        console.print(words.level())


def finals_commands(comparison: Comparison) -> str:
    """What to type for finals of the best two rows."""
    names = [row.sweep.name for row in comparison.rows[:2]]
    sweeps = sorted({name.rpartition("/")[0] for name in names})
    export = [
        command("analysis/export.py", "--sweep", name, "--top", "3", "--out", "finalists")
        for name in sweeps
    ]
    finals = command("sweeps/finalists.py", "FILES")
    return "\n  ".join(
        ["mkdir -p finalists", *export, finals.replace("FILES", "finalists/*.yaml")]
    )


def _row_table(comparison: Comparison) -> Table:
    title = f"best configurations by {words.direction(comparison)}"
    table = Table(title=title, title_justify="left", title_style="")
    for head in heads(comparison):
        table.add_column(head, justify="right" if head else "left", no_wrap=True)
    for row in comparison.rows:
        table.add_row(*cells(row, comparison))
    return table


def heads(comparison: Comparison) -> list[str]:
    """Heads of the columns of `cells`."""
    named = ["", "complete", "cross-validated", "expected", "finals", "test", "params", "train s"]
    return [*named, *["published"] * _has_published(comparison)]


def cells(row: Row, comparison: Comparison) -> list[str]:
    """A row as people read it."""
    states = [t.state for t in row.sweep.trials]
    reported = row.sweep.reported
    test = ""
    if row.test is not None:
        test = shown_spread(row.test.mean, spread(row.test)) + f" (n = {len(row.test.scores)})"
    named = [
        row.name,
        f"{states.count('COMPLETE')} of {len(states)}",
        shown_spread(row.best.score, row.best.std),
        shown_spread(row.expected, None),
        shown_spread(row.finals.mean, spread(row.finals)) if row.finals else "",
        test,
        f"{row.best.num_params:,}" if row.best.num_params else "",
        shown_seconds(row.best.train_time_s),
    ]
    if _has_published(comparison):
        named.append(shown_spread(reported[1], reported[2]) if reported else "")
    return named


def _has_published(comparison: Comparison) -> bool:
    return any(row.sweep.reported for row in comparison.rows)


def _test_table(comparison: Comparison) -> Table:
    table = Table(title="is it really?", title_justify="left", title_style="")
    for head in ("", "difference", "95 % interval", "p", "better", "equal", "worse", "verdict"):
        right = head not in ("", "verdict")
        table.add_column(head, justify="right" if right else "left", no_wrap=True)
    places = comparison.places
    for test in comparison.tests:
        d = test.difference
        named = f"{test.a} vs {test.b}"
        if d is None:
            table.add_row(named, "", "", "", "", "", "", test.basis)
            continue
        table.add_row(
            named,
            signed(d.mean, places=places),
            f"{signed(d.low, places=places)} .. {signed(d.high, places=places)}",
            words.shown_p(test.p_holm).removeprefix("= "),
            f"{d.p_better:.2f}",
            f"{d.p_equal:.2f}",
            f"{d.p_worse:.2f}",
            words.VERDICTS[test.verdict],
        )
    return table


def as_csv(comparison: Comparison) -> str:
    """The rows, a column for each key of `row_dict`."""
    rows = [row_dict(row) for row in comparison.rows]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def as_json(comparison: Comparison) -> str:
    """Everything."""
    return json.dumps(as_dict(comparison), indent=1) + "\n"


if __name__ == "__main__":
    run_program(main)
