"""Comparison of sweeps by statistical tests: `python analysis/compare.py`."""

if __name__ == "__main__":
    import foldsweep.early  # noqa: F401

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table
from rich.text import Text

from analysis import words
from analysis.comparison import Comparison, PairwiseTest, compare
from analysis.configurations import choice_sentences
from analysis.records import as_csv, as_json
from analysis.results import Measured
from analysis.rows import Row, budgets, spread
from analysis.selection import Selection, check_rope, selected
from foldsweep.files import write_whole
from foldsweep.numbers import places_of, shown, shown_seconds, shown_spread, signed
from foldsweep.programs import command, console, parse, run_program
from foldsweep.streams import why_output_was_lost
from foldsweep.texts import text
from foldsweep.tracking import store_options, tracking_uri

WIDEST = 10_000
TEST_HEADS = ("compared", "difference", "95 % interval", "p", "detectable difference", "verdict")
"""Headings of the columns of `test_cells`."""
LEFT = ("configuration", "compared", "verdict")
"""Headings of columns of text, which are aligned to the left."""
STYLES = {"better": "bold cyan", "slightly better": "cyan", "equivalent": ""}
"""Colours of verdicts on a terminal; the others are yellow, as they are orange in the report."""


@dataclass(frozen=True, kw_only=True)
class CompareSettings(Selection):
    """Compare the spaces of the latest sweep, or given sweeps: a row for each, then the tests."""

    rope: float | None = None
    """Scores closer than this are equivalent [the task's value for the metric]."""
    csv: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Write the table to this file; - prints only the table."""
    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Write table and tests to this file; - prints only these."""


def main() -> int:
    """Run the program; return its exit code."""
    settings = parse(CompareSettings, sys.argv[1:], prog="analysis/compare.py")
    check_rope(settings.rope)
    piped = "-" in (str(settings.csv), str(settings.json))
    sweeps = selected(settings, notice=_to_stderr if piped else console.print)
    comparison = compare(sweeps, rope=settings.rope)
    texts = {settings.csv: as_csv, settings.json: as_json}
    for path, written in texts.items():
        if path is not None and str(path) != "-":
            write_whole(path, written(comparison))
    printed = [written for path, written in texts.items() if str(path) == "-"]
    for written in printed:
        print(written(comparison), end="")
    if not printed:
        show(comparison, settings)
    sys.stdout.flush()
    return int(why_output_was_lost() is not None)


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr)


def show(comparison: Comparison, settings: Selection) -> None:
    """Print the comparison: sentences, table, tests, then the configurations of the best."""
    console.print(words.headline(comparison))
    for sentence in words.sentences(comparison):
        console.print(sentence)
    advice = words.advice(comparison)
    if advice is not None:
        console.print(f"{advice}:\n  {finals_commands(comparison, settings)}")
    _print_whole(_row_table(comparison))
    meaning = f"Cross-validated: {text('words.cross-validated')}. Expected: "
    console.print(f"{meaning}{words.expected(comparison)}.")
    if comparison.tests:
        _print_whole(_test_table(comparison))
        console.print(words.level(comparison))
    for sentence in choice_sentences(comparison):
        console.print(sentence)


def _print_whole(table: Table) -> None:
    """Print a table at full width, so that a narrow terminal wraps lines and cuts no name."""
    plain = Console(highlight=False, markup=False, emoji=False, width=WIDEST)
    plain.width = plain.measure(table).maximum
    plain.print(table)


def finals_commands(comparison: Comparison, settings: Selection) -> str:
    """Shell commands that run finals of the best two rows."""
    names = [row.sweep.name for row in comparison.rows[:2]]
    store = store_options(tracking_uri(settings.tracking_uri), settings.experiment)
    export = [
        command("analysis/export.py", "--sweep", name, "--top", "3", "--out", "finalists", *store)
        for name in names
    ]
    repeats = comparison.tests[0].repeats
    options = [] if repeats is None else ["--repeats", str(repeats)]
    options += store
    finals = command("sweeps/finalists.py", "FILES", *options)
    return "\n  ".join(
        ["mkdir -p finalists", *export, finals.replace("FILES", "finalists/*.yaml")]
    )


def _row_table(comparison: Comparison) -> Table:
    title = f"best configurations by {words.direction(comparison)}"
    table = Table(title=title, title_justify="left", title_style="")
    heads, rows = best_cells(comparison)
    for head in heads:
        table.add_column(head, justify="left" if head in LEFT else "right", no_wrap=True)
    decided = words.belief(comparison)[0] == "yes"
    for i, row in enumerate(rows):
        table.add_row(*row, style="" if i or not decided else "bold")
    return table


def best_cells(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of the table of best configurations, without columns that are empty."""
    given = budgets(comparison.rows) or [""] * len(comparison.rows)
    rows = [
        _cells(row) | {"given": budget} for row, budget in zip(comparison.rows, given, strict=True)
    ]
    heads = [head for head in rows[0] if any(row[head] for row in rows)]
    return heads, [[row[head] for head in heads] for row in rows]


def _cells(row: Row) -> dict[str, str]:
    """Cells of a row by heading, as text; empty if not measured."""
    states = [t.state for t in row.sweep.trials]
    reported = row.sweep.reported
    return {
        "configuration": row.name,
        "complete": f"{states.count('COMPLETE')} of {len(states)}",
        "cross-validated": shown_spread(row.best.score, row.best.std),
        "expected": shown_spread(row.expected, None),
        "95 % interval": _interval(row),
        "finals": shown_spread(row.finals.mean, spread(row.finals)) if row.finals else "",
        "test": _rounds(row.test),
        "ensemble": _rounds(row.ensemble),
        "params": f"{row.best.num_params:,}" if row.best.num_params else "",
        "train s": shown_seconds(row.best.train_time_s),
        "published": shown_spread(reported[1], reported[2]) if reported else "",
    }


def _interval(row: Row) -> str:
    """95 % interval of the expected score; empty if it has none."""
    if row.expected_interval is None:
        return ""
    low, high = (shown(end, places=places_of(row.expected)) for end in row.expected_interval)
    return f"{low} to {high}"


def _rounds(measured: Measured | None) -> str:
    """Mean and spread of rounds on test rows, and the number of rounds; empty without rounds."""
    if measured is None:
        return ""
    number = len(measured.scores)
    if number > 1 and not np.ptp(measured.scores):
        return f"{shown_spread(measured.mean, None)} (n = {number}, all equal)"
    return shown_spread(measured.mean, spread(measured)) + f" (n = {number})"


def _test_table(comparison: Comparison) -> Table:
    table = Table(title="pairwise tests", title_justify="left", title_style="")
    for head in TEST_HEADS:
        short = head.replace("detectable ", "detectable\n")
        table.add_column(short, justify="left" if head in LEFT else "right", no_wrap=True)
    for test in comparison.tests:
        *cells, verdict = test_cells(test, places=comparison.places)
        table.add_row(*cells, Text(verdict, style=STYLES.get(test.verdict, "yellow")))
    return table


def test_cells(test: PairwiseTest, *, places: int) -> list[str]:
    """Cells of a pairwise test, as text, see `TEST_HEADS`."""
    d = test.difference
    named = f"{test.a} vs {test.b}"
    if d is None:
        return [named, "", "", "", "", words.basis(test)]
    return [
        named,
        signed(d.mean, places=places),
        f"{signed(d.low, places=places)} to {signed(d.high, places=places)}",
        words.shown_p(d.p).removeprefix("= "),
        shown(d.detectable, places=places),
        words.verdict(test),
    ]


if __name__ == "__main__":
    run_program(main)
