"""Artifacts of a SQLite store, in a folder beside the database, which can be moved with it.

MLflow records absolute artifact paths and has no way to change them. After a project has been
moved or copied, this module reads and writes its artifacts beside the database. MLflow's own pages
still look in the old folder.
"""

import shutil
from pathlib import Path

from mlflow import MlflowClient, MlflowException
from mlflow.entities import RunInfo

from foldsweep.tracking import ARTIFACTS, sqlite_path


def moved_place(tracking_uri: str, recorded: str | None) -> Path | None:
    """Return the artifact folder of a SQLite store that was moved; None if the record is right.

    Args:
        tracking_uri: MLflow server or store.
        recorded: Artifact location of an experiment, a run or a logged model.
    """
    database, there = sqlite_path(tracking_uri), Path(recorded or "")
    if database is None or not there.is_absolute() or ARTIFACTS not in there.parts:
        return None
    depth = len(there.parts) - 1 - there.parts[::-1].index(ARTIFACTS)
    before = Path(*there.parts[:depth])
    if before == database.parent:
        return None
    same = before / database.name
    if same.exists() and same.samefile(database):  # the same folder by another path
        return None
    return database.parent.joinpath(*there.parts[depth:])


def attach(
    client: MlflowClient, tracking_uri: str, run: RunInfo, path: Path, to: str = ""
) -> None:
    """Attach a file to a run, in the folder `to` of its artifacts.

    Raises:
        MlflowException: If MLflow rejects the file, or `to` is outside the run's artifacts.
        OSError: If the file cannot be read, or its copy cannot be written.
    """
    here = moved_place(tracking_uri, run.artifact_uri)
    if here is None:
        return client.log_artifact(run.run_id, str(path), to or None)
    folder = here / to
    if not folder.resolve().is_relative_to(here.resolve()):
        raise MlflowException.invalid_parameter_value(f"{to!r} is outside the run's artifacts")
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(path, folder)
