"""Artifacts of a SQLite store, which lie beside the database and move with it.

MLflow keeps absolute paths, and has no way to change them: after a project was moved or copied it
would go on reading and writing where the project was.
"""

import os
from pathlib import Path
from typing import Any

from mlflow.entities import Experiment

from foldsweep.tracking import artifacts_beside, sqlite_path


def follow_database(tracking_uri: str, experiment: Experiment) -> bool:
    """Have an experiment's artifacts beside its SQLite file again, if that has moved.

    An artifact location that somebody chose stays, as do artifacts that were left in the old place
    and are still there.

    Returns:
        Whether anything was changed.
    """
    location = experiment.artifact_location or ""
    database = sqlite_path(tracking_uri)
    if database is None or not os.path.isabs(location):
        return False
    here, there = artifacts_beside(database, experiment.name), Path(location)
    if there == here or there.parts[-2:] != here.parts[-2:]:
        return False
    before = there.parents[1] / database.name
    if before.exists() and before.samefile(database):  # the same place by another name
        return False
    moved = here.is_dir() or not there.is_dir()
    _rewrite(tracking_uri, experiment, str(there), str(here), runs=moved)
    return True


def _rewrite(uri: str, experiment: Experiment, old: str, new: str, *, runs: bool) -> None:
    from mlflow.store.tracking.dbmodels import models
    from sqlalchemy import create_engine, func, update
    from sqlalchemy.orm import Session

    number = int(experiment.experiment_id)
    engine = create_engine(uri)
    places: list[tuple[Any, str]] = [(models.SqlRun, "artifact_uri")]
    places.append((models.SqlLoggedModel, "artifact_location"))
    try:
        with Session(engine) as session, session.begin():
            known: Any = models.SqlExperiment
            session.execute(
                update(known).where(known.experiment_id == number).values(artifact_location=new)
            )
            for model, name in places if runs else ():
                column = getattr(model, name)
                rest = func.substr(column, len(old) + 1)
                session.execute(
                    update(model)
                    .where(
                        model.experiment_id == number,
                        column.startswith(old + "/", autoescape=True),
                    )
                    .values({name: new + rest})
                    .execution_options(synchronize_session=False)
                )
    finally:
        engine.dispose()
