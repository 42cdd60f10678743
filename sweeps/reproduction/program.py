"""The program `sweeps/reproduce.py`, as it runs in a driver (`sweeps.driver`)."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from rich.console import Console

from foldsweep.errors import UserError
from foldsweep.interrupts import INTERRUPTED, leave_to_python
from foldsweep.programs import command, console, on_terminal, parse
from foldsweep.texts import text
from foldsweep.tracking import shown, tracking_uri
from sweeps.channel import LOG_FILE, keep_dumps_in, tell
from sweeps.cluster import Cluster
from sweeps.machines import Machines
from sweeps.messages import show_end
from sweeps.reproduction.data import dataset_of, draw, scaled
from sweeps.reproduction.grids import Found, chain, found, sweep_grid
from sweeps.reproduction.pool import log_rows, run_jobs
from sweeps.reproduction.rows import Job, quick, stored
from sweeps.reproduction.settings import ReproduceSettings
from sweeps.reproduction.tables import (
    Cells,
    error_cells,
    list_cells,
    table_cells,
    verdict,
    write_between_marks,
)
from sweeps.resources import Allotment
from trainables.config import TrialConfig
from trainables.data.images import load_images
from trainables.data.source import ImageSource
from trainables.presets.preset import Grid, Measurement, Preset
from trainables.presets.registry import GRIDS, TABLES
from trainables.variants import VARIANTS

ROWS = "rows"
WRONG = ("lenet_transfer/table1",)
"""Tables whose report has a figure of the wrong answers by digits."""
LOG_WIDTH = 200
"""Columns of a table in a log, so that no name is wrapped."""


def main(args: Sequence[str], prog: str = "sweeps/reproduce.py") -> int:
    """Reproduce the tables and rows of the command line; return the exit code."""
    leave_to_python()
    settings = parse(ReproduceSettings, [*args], prog=prog)
    if settings.list:
        show(list_cells())
        return 0
    settings.validate()
    tables = selected(("",) if settings.all else settings.what)
    settings.sweep().validate()
    images, said = load_images(settings.dataset, data_dir=settings.data_dir)
    console.print(said)
    if images.dataset != "mnist":
        console.print(text("reproduction.other-images"))
    settings = replace(settings, dataset=images.dataset)  # type: ignore[arg-type]
    try:
        settings.root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(settings.root / "lock").acquire(timeout=0)
    except Timeout:
        raise UserError.of("reproduction.folder-in-use", folder=settings.root) from None
    except OSError as error:
        raise UserError.of(
            "reproduction.folder-not-writable", folder=settings.root, reason=error.strerror
        ) from None
    again = command("sweeps/reproduce.py", *args)
    tell(resume=again)
    keep_dumps_in(settings.root / LOG_FILE)
    with lock:
        try:
            code = Reproduction(settings, images).run(tables)
        except KeyboardInterrupt:
            code = INTERRUPTED
        if code == INTERRUPTED:
            console.print(text("commands.interrupted", resume=again))
        return code


def selected(names: Sequence[str]) -> dict[str, list[tuple[Preset, Measurement] | Grid]]:
    """Rows by table, selected by names of reports, tables or rows; an empty name selects all.

    Raises:
        UserError: If there is no such report, table or row.
    """
    chosen: dict[str, list[tuple[Preset, Measurement] | Grid]] = {}
    for name in names:
        hits = 0
        for table, rows in TABLES.items():
            for row in rows:
                own = row.name if isinstance(row, Grid) else row[0].name
                if name in ("", table, own, table.partition("/")[0]):
                    hits += 1
                    if row not in chosen.setdefault(table, []):
                        chosen[table].append(row)
        if not hits:
            raise UserError.of("reproduction.unknown", name=name, tables=", ".join(TABLES))
    return {table: chosen[table] for table in TABLES if table in chosen}


class Reproduction:
    """The reproduction of one command: its grids, rows and tables."""

    def __init__(self, settings: ReproduceSettings, images: ImageSource):
        self.settings = settings
        self.images = images

    def run(self, tables: dict[str, list[tuple[Preset, Measurement] | Grid]]) -> int:
        """Sweep missing grids, train missing rows and show the tables; return the exit code."""
        rows = [row for each in tables.values() for row in each]
        grids = self._grids(rows)
        missing = [grid for grid in grids if self._found(grid) is None]
        measured = [row for row in rows if not isinstance(row, Grid)]
        failures: list[str] = []
        if missing or any(self._result(*row) is None for row in measured):
            cluster = Cluster(self.settings.sweep())
            with cluster as allotment:
                cluster.keep_logs_in(self.settings.root / LOG_FILE)
                for i, grid in enumerate(missing):
                    said = text(
                        "reproduction.grid", number=i + 1, grids=len(missing), grid=grid.name
                    )
                    console.print(said)
                    if self._sweep(grid, allotment, cluster.machines):
                        return INTERRUPTED
                failures = self._train(measured, allotment)
        waiting = self._log(measured)
        for cells in self._cells(tables):
            show(cells)
        console.print(verdict(tables.values(), self._result))
        if self.settings.quick:
            console.print(text("reproduction.quick"))
        if waiting:
            storage = self.settings.storage
            options = [] if storage == ReproduceSettings.storage else ["--storage", str(storage)]
            replay = command("sweeps/replay.py", self.settings.name, *options)
            console.print(text("reproduction.records-wait", records=waiting, replay=replay))
        uri = shown(tracking_uri(self.settings.tracking_uri))
        console.print(text("reproduction.results-in", folder=self.settings.root, uri=uri))
        if not waiting:
            self._draw(tables)
        if self.settings.write is not None:
            self._write(tables)
        for failure in failures:
            console.print(text("reproduction.row-failed", failure=failure))
        return int(bool(failures))

    def _grids(self, rows: Sequence[tuple[Preset, Measurement] | Grid]) -> list[Grid]:
        """Grids that are selected or that rows depend on, in the order of sweeping."""
        wanted: dict[str, Grid] = {}
        for row in rows:
            needed = GRIDS.get(row[0].tuned_by or "") if not isinstance(row, Grid) else row
            for grid in chain(needed) if needed else []:
                wanted[grid.name] = grid
        return list(wanted.values())

    def _found(self, grid: Grid) -> Found | None:
        return found(grid, self.settings.root)

    def _sweep(self, grid: Grid, allotment: Allotment, machines: Machines) -> bool:
        """Sweep a grid; return whether it was interrupted."""
        settings = self.settings.sweep(grid)
        data = draw(
            settings.dataset,
            self.images,
            seed=settings.seed,
            train_pairs=settings.train_pairs,
            test_pairs=settings.test_pairs,
        )
        end = sweep_grid(
            grid,
            settings,
            data,
            name=self.settings.name,
            root=self.settings.root,
            allotment=allotment,
            console=console,
            machines=machines,
        )
        show_end(settings, end, self.settings.name)
        if not end.interrupted and self._found(grid) is None:
            raise UserError.of("reproduction.no-result", grid=grid.name, error=end.last_error)
        return end.interrupted

    def _job(self, preset: Preset, measurement: Measurement) -> Job | None:
        """A row's job; None if the grid that the row depends on has not been swept."""
        values = dict(preset.config)
        if preset.tuned_by is not None:
            ours = self._found(GRIDS[preset.tuned_by])
            if ours is None:
                return None
            values |= ours.best
        dataset = dataset_of(preset, self.images.dataset)
        protocol = scaled(measurement.protocol, dataset, self.images)
        if self.settings.quick:
            protocol = quick(protocol)
            values["epochs"] = 2
        if self.settings.rounds is not None and protocol.kind == "rounds":
            protocol = replace(protocol, count=self.settings.rounds)
        config = VARIANTS[preset.variant].config.from_dict(values)
        assert isinstance(config, TrialConfig)  # rows are of networks
        return Job(
            preset=preset,
            protocol=protocol,
            config=config,
            dataset=dataset,
            seed=self.settings.seed,
        )

    def _result(self, preset: Preset, measurement: Measurement) -> dict[str, Any] | None:
        job = self._job(preset, measurement)
        return None if job is None else stored(self.settings.root / ROWS, job)

    def _train(
        self, rows: Sequence[tuple[Preset, Measurement]], allotment: Allotment
    ) -> list[str]:
        jobs = {}
        for row in rows:
            job = self._job(*row)
            if job is not None and self._result(*row) is None:
                jobs[job.name] = job
        if not jobs:
            return []
        most = allotment.concurrency
        console.print(text("reproduction.rows-to-train", rows=len(jobs), concurrency=most))
        folder = self.settings.root / ROWS
        return run_jobs(list(jobs.values()), self.images, folder, allotment, console)

    def _log(self, rows: Sequence[tuple[Preset, Measurement]]) -> int:
        done = []
        for preset, measurement in rows:
            job, result = self._job(preset, measurement), self._result(preset, measurement)
            if job is not None and result is not None:
                done.append((job, measurement, result))
        return log_rows(
            done,
            self.settings.root / ROWS,
            sweep=f"{self.settings.name}/{ROWS}",
            tracking_uri=tracking_uri(self.settings.tracking_uri),
            experiment=self.settings.experiment,
            select_on_test=self.settings.select_on_test,
        )

    def _cells(self, tables: dict[str, list[tuple[Preset, Measurement] | Grid]]) -> list[Cells]:
        return [c for name in tables for c in table_cells(name, self._result, self._found)]

    def _draw(self, tables: dict[str, list[tuple[Preset, Measurement] | Grid]]) -> None:
        """Have `analysis` draw the figures of tables from the records in MLflow."""
        drawn = [
            name
            for name, rows in tables.items()
            for row in rows
            if not isinstance(row, Grid)
            and (result := self._result(*row)) is not None
            and ("curves" in result or (name in WRONG and "wrong" in result))
        ]
        for name in dict.fromkeys(drawn):
            done = subprocess.run(
                [
                    sys.executable,
                    str(Path(__file__).parents[2] / "analysis" / "figures.py"),
                    name,
                    f"--out={self.settings.root / 'figures'}",
                    f"--sweep={self.settings.name}",
                    f"--experiment={self.settings.experiment}",
                ],
                # not an argument, which other users can read: the URI may hold a password
                env=os.environ | {"MLFLOW_TRACKING_URI": tracking_uri(self.settings.tracking_uri)},
                capture_output=True,
                encoding="utf-8",
                errors="replace",
            )
            if done.returncode:
                why = done.stderr.strip()
                console.print(text("reproduction.figures-not-drawn", table=name, why=why))
            else:
                number, folder = len(done.stdout.splitlines()), self.settings.root / "figures"
                said = text("reproduction.figures", figures=number, table=name, folder=folder)
                console.print(said)

    def _write(self, tables: dict[str, list[tuple[Preset, Measurement] | Grid]]) -> None:
        assert self.settings.write is not None
        blocks = {"verdict": f"{verdict(TABLES.values(), self._result)}.\n"}
        for name in tables:
            cells = table_cells(name, self._result, self._found)
            blocks[name] = "\n".join(f"{c.title}\n\n{c.markdown()}" for c in cells)
            blocks[f"errors {name}"] = error_cells(name, self._result).markdown()
        number = write_between_marks(self.settings.write, blocks)
        file = self.settings.write
        console.print(text("reproduction.blocks-updated", blocks=number, file=file))


def show(cells: Cells) -> None:
    """Print a table, without wrapped lines unless on a terminal."""
    console.print(cells.title)
    width = None if on_terminal() else LOG_WIDTH
    Console(highlight=False, markup=False, emoji=False, width=width).print(cells.rich())
