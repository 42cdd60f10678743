"""Figures of a repeated table: `python analysis/figures.py gervaise2020/project2`."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import tyro
from matplotlib.figure import Figure
from mlflow.entities import Run

from analysis.curves import curves_info, plot_all, plot_one
from analysis.heatmaps import heatmap_info, plot_heatmaps
from analysis.load import Store, find_runs, open_store
from analysis.regions import plot_points, plot_regions, points_info, regions_info
from analysis.style import DPI
from trainables import metrics
from trainables.errors import UserError
from trainables.programs import console, parse, run_program
from trainables.tracking import shown, tracking_uri


@dataclass(frozen=True, kw_only=True)
class FiguresSettings:
    """Draw what `sweeps/reproduce.py` logged of a table: curves, regions, where it is wrong."""

    table: Annotated[str, tyro.conf.Positional]
    """Table of a report, such as gervaise2020/table1 or gervaise2020/project2."""
    out: Path = Path("figures")
    """Folder to write to; made if it is not there."""
    sweep: str | None = None
    """Name of the repetition, such as reproduce or reproduce-digits [the latest of the table]."""
    experiment: str = "foldsweep"
    """MLflow experiment."""
    tracking_uri: str | None = None
    """MLflow server or store [MLFLOW_TRACKING_URI, else mlflow.db in this folder]."""


def main() -> int:
    """Draw what the command line asks for; returns the exit code."""
    settings = parse(FiguresSettings, sys.argv[1:], prog="analysis/figures.py")
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    store = open_store(tracking_uri(settings.tracking_uri), settings.experiment)
    rows = table_rows(store, settings.table, sweep=settings.sweep)
    try:
        settings.out.mkdir(parents=True, exist_ok=True)
        for name, figure in figures(rows).items():
            path = settings.out / f"{settings.table.replace('/', '-')}-{name}.png"
            figure.savefig(path, dpi=DPI)
            console.print(str(path))
    except OSError as error:
        raise UserError(f"folder {settings.out} cannot be written: {error.strerror}") from None
    return 0


def table_rows(store: Store, table: str, *, sweep: str | None = None) -> dict[str, dict[str, Any]]:
    """The latest result of each row of a table, by the row's name.

    All are of one repetition: what was measured on other data or at smoke size is never mixed in.

    Raises:
        UserError: If there is none.
    """
    rows: dict[str, dict[str, Any]] = {}
    places: dict[str, int] = {}
    runs = find_runs(
        store,
        **{
            metrics.TAG_KIND.replace(".", "__"): "reproduction",
            metrics.TAG_TABLE.replace(".", "__"): table.replace("'", ""),
        },
    )
    for run in runs:  # newest first
        preset = run.data.tags[metrics.TAG_PRESET]
        name = run.data.tags[metrics.TAG_SWEEP].rpartition("/")[0]
        if run.info.status == "FINISHED" and preset not in rows and sweep in (None, name):
            sweep = name
            rows[preset] = _result(store, run)
            places[preset] = int(run.data.tags[metrics.TAG_ROW])
    if not rows:
        raise UserError(
            f"MLflow at {shown(store.tracking_uri)} has no rows of {table!r}"
            f"{f' in {sweep}' if sweep else ''};"
            f" run sweeps/reproduce.py {table} first"
        )
    return {preset: rows[preset] for preset in sorted(rows, key=places.__getitem__)}


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
        drawn[f"all-{quantity}"] = plot_all(curves, quantity)
        for info in curves:
            drawn[f"{info.name}-{quantity}"] = plot_one(info, quantity)
    wrong = [
        heatmap_info(names[preset], row["wrong"], row["count"])
        for preset, row in rows.items()
        if "regions" not in row
    ]
    if wrong:
        drawn["wrong"] = plot_heatmaps(wrong)
    regions = [
        regions_info(names[preset], row["regions"])
        for preset, row in rows.items()
        if "regions" in row
    ]
    if regions:
        drawn["regions"] = plot_regions(regions)
    points = [row["points"] for row in rows.values() if "points" in row]
    if points:
        drawn["points"] = plot_points(points_info(points[0]))
    return drawn


def _result(store: Store, run: Run) -> dict[str, Any]:
    """The row's result as `sweeps/reproduce.py` logged it."""
    with TemporaryDirectory() as folder:
        files = store.client.list_artifacts(run.info.run_id)
        found = next(file.path for file in files if file.path.endswith(".json"))
        path = store.client.download_artifacts(run.info.run_id, found, folder)
        result: dict[str, Any] = json.loads(Path(path).read_text())
    return result


if __name__ == "__main__":
    run_program(main)
