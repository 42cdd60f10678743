"""Which is better, and is it really? `python analysis/compare.py`."""

import csv
import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console
from rich.table import Table

from analysis import words
from analysis.comparison import Comparison, Row, as_dict, compare, row_dict, spread
from analysis.load import open_store
from analysis.results import Sweep, latest_of_each, load_sweeps
from analysis.significance import ROPE
from foldsweep.errors import UserError
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
    """Only sweeps of these variants."""
    dataset: str | None = None
    """Only sweeps on this dataset [that of the latest sweep]."""
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

    rope: float = ROPE
    """Accuracies closer than this are practically equal."""
    csv: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Write the table to this file; - prints it, and nothing else."""
    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Write table and tests to this file; - prints them, and nothing else."""


def main() -> int:
    """Compare what the command line asks for; returns the exit code."""
    settings = parse(CompareSettings, sys.argv[1:], prog="analysis/compare.py")
    check_rope(settings.rope)
    sweeps = selected(settings)
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


def check_rope(rope: float) -> None:
    """Refuse a region of practical equivalence that cannot be meant.

    Raises:
        UserError: If it is not below 1 and at least 0.
    """
    if not 0 <= rope < 1:
        raise UserError(f"--rope must be at least 0 and below 1, but is {rope}")


def selected(settings: Selection) -> list[Sweep]:
    """The sweeps that a command line asks for, on one dataset, each with a complete trial.

    Raises:
        UserError: If there is none.
    """
    store = open_store(tracking_uri(settings.tracking_uri), settings.experiment)
    sweeps = load_sweeps(
        store,
        sweeps=settings.sweep,
        spaces=settings.space,
        variants=settings.variant,
        dataset=settings.dataset,
        matching=settings.filter,
    )
    whole = [s for s in sweeps if s.complete]
    if not whole:
        why = f" that passes {settings.filter!r}" if settings.filter else " yet"
        raise UserError(f"{', '.join(s.name for s in sweeps)}: no complete trial{why}")
    chosen = [s for s in whole if s.dataset == whole[0].dataset]
    if len(chosen) < len(whole):
        others = sorted({s.dataset for s in whole} - {whole[0].dataset})
        console.print(
            f"only sweeps on {whole[0].dataset}, the latest; for others --dataset"
            f" {' or '.join(others)}"
        )
    for s in sweeps:
        if not s.complete and settings.sweep:
            console.print(f"{s.name} is left out: no complete trial yet")
    return latest_of_each(chosen) if settings.by == "variant" else chosen


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
    if comparison.pairs:
        wide.print(_pair_table(comparison))
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
    heads = ["", "complete", "cross-validated", "expected", "finals", "test", "params", "train s"]
    heads.append("report's own")
    table = Table(title="best configurations", title_justify="left", title_style="")
    for head in heads:
        table.add_column(head, justify="right" if head else "left", no_wrap=True)
    for row in comparison.rows:
        table.add_row(*cells(row))
    return table


def cells(row: Row) -> list[str]:
    """A row as people read it."""
    states = [t.state for t in row.sweep.trials]
    reported = row.sweep.reported
    test = ""
    if row.test is not None:
        test = shown(row.test.mean, spread(row.test)) + f" (n = {len(row.test.accuracy)})"
    finals = shown(row.finals.mean, spread(row.finals)) if row.finals else ""
    return [
        row.name,
        f"{states.count('COMPLETE')} of {len(states)}",
        shown(row.best.accuracy, row.best.std),
        f"{row.expected:.4f}",
        finals,
        test,
        f"{row.best.num_params:,}",
        f"{row.best.train_time_s:.1f}",
        shown(reported[1], reported[2]) if reported else "",
    ]


def _pair_table(comparison: Comparison) -> Table:
    table = Table(title="is it really?", title_justify="left", title_style="")
    for head in ("", "difference", "95 % interval", "p", "better", "equal", "worse", "verdict"):
        right = head not in ("", "verdict")
        table.add_column(head, justify="right" if right else "left", no_wrap=True)
    for pair in comparison.pairs:
        d = pair.difference
        names = f"{pair.a} > {pair.b}"
        if d is None:
            table.add_row(names, "", "", "", "", "", "", pair.basis)
            continue
        table.add_row(
            names,
            words.signed(d.mean),
            f"{words.signed(d.low)} .. {words.signed(d.high)}",
            words.shown_p(pair.p_holm).removeprefix("= "),
            f"{d.p_better:.2f}",
            f"{d.p_equal:.2f}",
            f"{d.p_worse:.2f}",
            words.VERDICTS[pair.verdict],
        )
    return table


def shown(mean: float, std: float | None) -> str:
    """Mean and standard deviation as tables show them."""
    return f"{mean:.4f}" if std is None else f"{mean:.4f} ± {std:.4f}"


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
