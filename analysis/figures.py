"""Figures of a repeated table or of sweeps: `python analysis/figures.py --sweep NAME`."""

if __name__ == "__main__":
    import foldsweep.early  # noqa: F401

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import plotly.graph_objects as go
import tyro
from matplotlib.figure import Figure

from analysis.load import open_store
from analysis.plots.curves import curves_info, plot_all, plot_one
from analysis.plots.gallery import interactive, rebuilt_studies, sweep_figures
from analysis.plots.interactive import write_html
from analysis.plots.style import DPI
from analysis.reproductions import table_rows
from analysis.selection import Selection, selected
from analysis.tasks.tables import table_pictures
from foldsweep.errors import UserError
from foldsweep.files import whole
from foldsweep.programs import console, parse, run_program
from foldsweep.tracking import tracking_uri


@dataclass(frozen=True, kw_only=True)
class FiguresSettings(Selection):
    """Draw figures of sweeps: their course, their results, and the errors of their best models.

    With a table, draw the results that `sweeps/reproduce.py` logged for it.
    """

    table: Annotated[str, tyro.conf.Positional] = ""
    """Table of a report, such as gervaise2020/table1; --sweep then names the repetition, such as
    reproduce [the latest repetition of the table]."""
    beside: tuple[str, ...] = ()
    """Repeated rows of reports, such as lenet_transfer/auxiliary, which heat maps of the same task
    show beside the sweeps."""
    out: Path = Path("figures")
    """Folder to write to; created if it does not exist."""


def main() -> int:
    """Run the program; return its exit code."""
    settings = parse(FiguresSettings, sys.argv[1:], prog="analysis/figures.py")
    return _draw_table(settings) if settings.table else _draw_sweeps(settings)


def _draw_table(settings: FiguresSettings) -> int:
    for option in ("space", "variant", "task", "dataset", "objective", "filter", "beside"):
        if getattr(settings, option):
            raise UserError.of("figures.option-with-table", option=option)
    if len(settings.sweep) > 1:
        raise UserError.of("figures.table-of-several-sweeps")
    store = open_store(tracking_uri(settings.tracking_uri), settings.experiment)
    rows = table_rows(store, settings.table, sweep=next(iter(settings.sweep), None))
    prefix = settings.table.replace("/", "-")
    _write({f"{prefix}-{name}": figure for name, figure in figures(rows).items()}, settings.out)
    return 0


def _draw_sweeps(settings: FiguresSettings) -> int:
    sweeps = selected(settings)
    store = open_store(tracking_uri(settings.tracking_uri), settings.experiment)
    studies = rebuilt_studies(store, sweeps)
    drawn = sweep_figures(store, sweeps, beside=settings.beside, studies=studies)
    figures = {name: each.figure for name, each in drawn.items()}
    _write(figures, settings.out, pages=interactive(sweeps, studies))
    return 0


def _write(
    figures: Mapping[str, Figure], folder: Path, *, pages: Mapping[str, go.Figure] | None = None
) -> None:
    """Write each figure to a PNG file and each interactive figure to a page; print the paths.

    Raises:
        UserError: If the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, figure in figures.items():
            path = folder / f"{name}.png"
            with whole(path) as part:
                figure.savefig(part, dpi=DPI, format="png")
            console.print(str(path))
        for path in write_html(pages or {}, folder):
            console.print(str(path))
    except OSError as error:
        raise UserError.of("figures.out-unwritable", path=folder, reason=error.strerror) from None


def figures(rows: dict[str, dict[str, Any]]) -> dict[str, Figure]:
    """All figures of a table, by name."""
    names = {preset: preset.partition("/")[2] for preset in rows}
    curves = [
        curves_info(names[preset], row["curves"])
        for preset, row in rows.items()
        if "curves" in row
    ]
    drawn: dict[str, Figure] = {}
    for quantity in ("loss", "accuracy") if curves else ():
        if len(curves) > 1:
            drawn[f"all-{quantity}"] = plot_all(curves, quantity)
        for info in curves:
            drawn[f"{info.name}-{quantity}"] = plot_one(info, quantity)
    return drawn | table_pictures(rows, names)


if __name__ == "__main__":
    run_program(main)
