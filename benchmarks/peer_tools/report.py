"""Tables of runs: on the console and in a document."""

import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from foldsweep.programs import console
from peer_tools.results import Agreement, Run, agreement, ratios, spread
from peer_tools.tools import FLOOR, OURS, TOOLS
from sweeps.provenance import machine
from sweeps.reproduction.tables import Cells, write_between_marks

LEAST_WIDTH = 110

Runs = Mapping[str, Sequence[Run]]
"""Runs of one workload by tool, each in order of repeats."""


def here() -> str:
    """Describe this machine, for the heads of tables."""
    model = platform.processor()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = [line.partition(":") for line in info.read_text().splitlines()]
        model = next((what.strip() for key, _, what in lines if "model name" in key), model)
    return f"{machine()}, {os.cpu_count()} CPUs ({model or 'unknown model'})"


def show(cells: Cells) -> None:
    """Print a table below its title, wide enough to be readable in a log, too."""
    console.print(f"\n{cells.title}")
    Console(width=max(console.width, LEAST_WIDTH), markup=False).print(cells.rich())


def publish(tables: Mapping[str, Cells], document: Path | None, head: str | None = None) -> None:
    """Print tables, and replace those in a document between marks with their names.

    Args:
        tables: Tables by the names of their marks.
        document: Document with the marks, if any.
        head: Line above each table in the document [its title].
    """
    if head is not None:
        console.print(head)
    for cells in tables.values():
        show(cells)
    if document is not None:
        texts = {
            name: f"{cells.title if head is None else head}\n\n{cells.markdown()}"
            for name, cells in tables.items()
        }
        write_between_marks(document, texts)


def peers_cells(title: str, runs: Runs, left_out: Mapping[str, str]) -> Cells:
    """Make the table of a workload in which every tool trains the same configurations."""
    head = (
        "tool",
        "n",
        "wall, s",
        "wall / foldsweep",
        "start-up, s",
        "overhead per trial, ms",
        "training, %",
        "peak memory, MB",
        "score − floor, points",
    )
    rows = []
    for name, tool in TOOLS.items():
        if name in left_out:
            rows.append((tool.title, f"left out: {left_out[name]}", *[""] * (len(head) - 2)))
            continue
        if not (mine := runs.get(name, ())):
            continue
        compared = ratios(mine, runs.get(OURS, ()), "wall_s")
        rows.append(
            (
                tool.title,
                str(len(mine)),
                spread(run.wall_s for run in mine).shown(1),
                "1" if name == OURS else spread(compared).shown(2) if compared else "",
                spread(run.startup_s for run in mine).shown(1),
                spread(run.overhead_ms for run in mine).shown(0),
                spread(100 * run.training_share for run in mine).shown(0),
                spread(run.peak_mb for run in mine).shown(0),
                _shown_agreement(name, runs),
            )
        )
    return Cells(title=title, head=head, rows=tuple(rows))


def target_cells(title: str, runs: Runs, left_out: Mapping[str, str], limit_s: float) -> Cells:
    """Make the table of a workload that ends when a score, the mark, is reached."""
    head = (
        "tool",
        "reached",
        "time to the mark, s",
        "time / foldsweep",
        "whole trials by then",
        "best",
    )
    rows = []
    for name, tool in TOOLS.items():
        if not tool.prunes:
            continue
        if name in left_out:
            rows.append((tool.title, f"left out: {left_out[name]}", *[""] * (len(head) - 2)))
            continue
        if not (mine := runs.get(name, ())):
            continue
        times = [run.reached_s for run in mine if run.reached_s is not None]
        compared = ratios(mine, runs.get(OURS, ()), "reached_s")
        rows.append(
            (
                tool.title,
                f"{len(times)} of {len(mine)}",
                spread(times).shown(0) if times else f"> {limit_s:.0f}",
                "1" if name == OURS else spread(compared).shown(2) if compared else "",
                spread(len(run.scores) for run in mine).shown(0),
                spread(max(run.scores.values(), default=0.0) for run in mine).shown(3),
            )
        )
    return Cells(title=title, head=head, rows=tuple(rows))


def disagreements(runs: Runs) -> dict[str, Agreement]:
    """Return the tools whose scores differ from those of the floor, with the differences."""
    floor = runs.get(FLOOR, ())
    if not floor:
        return {}
    found = {name: agreement(mine, floor) for name, mine in runs.items() if name != FLOOR and mine}
    return {name: agreed for name, agreed in found.items() if not agreed.holds}


def _shown_agreement(name: str, runs: Runs) -> str:
    floor = runs.get(FLOOR, ())
    if name == FLOOR or not floor:
        return ""
    return agreement(runs[name], floor).shown()
