"""Rows of reports' tables, as `sweeps/reproduce.py` logged them."""

from collections.abc import Sequence
from typing import Any

from mlflow.entities import Run

from analysis.load import Store, find_runs, json_artifact, sweep_uuid
from foldsweep import names
from foldsweep.errors import UserError
from foldsweep.tracking import shown


def table_rows(store: Store, table: str, *, sweep: str | None = None) -> dict[str, dict[str, Any]]:
    """The latest result of each row of a table, by the row's name.

    All results are of one repetition: results on other data or at smoke size are never mixed in.

    Raises:
        UserError: If there is no result.
    """
    rows: dict[str, dict[str, Any]] = {}
    places: dict[str, int] = {}
    uuid: str | None = None
    for run in _runs(store, names.TAG_TABLE, table):  # newest first
        preset = run.data.tags[names.TAG_PRESET]
        name = run.data.tags[names.TAG_SWEEP].rpartition("/")[0]
        if preset not in rows and sweep in (None, name) and uuid in (None, sweep_uuid(run)):
            sweep, uuid = name, sweep_uuid(run)
            rows[preset] = _result(store, run)
            places[preset] = int(run.data.tags[names.TAG_ROW])
    if not rows:
        raise UserError.of(
            "reproductions.table-without-rows",
            uri=shown(store.tracking_uri),
            table=table,
            within=f" in {sweep}" if sweep else "",
        )
    return {preset: rows[preset] for preset in sorted(rows, key=places.__getitem__)}


def latest_rows(store: Store, presets: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The latest result of each row in `presets`, by the row's name.

    Raises:
        UserError: If a row has no result.
    """
    rows = {}
    for preset in presets:
        latest = next(iter(_runs(store, names.TAG_PRESET, preset)), None)
        if latest is None:
            raise UserError.of(
                "reproductions.row-not-run", uri=shown(store.tracking_uri), row=preset
            )
        rows[preset] = _result(store, latest)
    return rows


def _runs(store: Store, tag: str, value: str) -> list[Run]:
    """Runs of rows that were measured completely, newest first."""
    runs = find_runs(
        store,
        **{
            names.TAG_KIND.replace(".", "__"): "reproduction",
            tag.replace(".", "__"): value.replace("'", ""),
        },
    )
    return [run for run in runs if run.info.status == "FINISHED"]


def _result(store: Store, run: Run) -> dict[str, Any]:
    """The row's result as `sweeps/reproduce.py` logged it."""
    result = json_artifact(store, run.info.run_id)
    if result is None:
        row = run.data.tags[names.TAG_PRESET]
        raise UserError.of("reproductions.run-without-result", run=run.info.run_id, row=row)
    return dict(result)
