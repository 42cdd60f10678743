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
        raise UserError(
            f"MLflow at {shown(store.tracking_uri)} has no rows of {table!r}"
            f"{f' in {sweep}' if sweep else ''};"
            f" run sweeps/reproduce.py {table} first"
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
            raise UserError(
                f"MLflow at {shown(store.tracking_uri)} has no row {preset!r};"
                f" run sweeps/reproduce.py {preset} first"
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
        raise UserError(f"run {run.info.run_id}, {run.data.tags[names.TAG_PRESET]}: no result")
    return dict(result)
