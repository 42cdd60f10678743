"""Whole runs into MLflow's own tables at once, where the records go to a database directly.

MLflow's client takes some 40 ms of a processor for a run of one epoch, in nine transactions: more
than training a tiny trial. Here a chunk of runs is one transaction of MLflow's own SQLAlchemy
models, checked by MLflow's own validation.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mlflow import MlflowClient, MlflowException
from mlflow.entities import (
    DatasetInput,
    Experiment,
    LifecycleStage,
    Metric,
    Param,
    RunTag,
    SourceType,
)
from mlflow.protos.databricks_pb2 import INVALID_STATE
from mlflow.store.tracking.dbmodels import models
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NAME
from mlflow.utils.uri import append_to_uri_path
from mlflow.utils.validation import (
    _validate_batch_log_data,
    _validate_dataset_inputs,
    _validate_metric,
    _validate_param_keys_unique,
    _validate_run_id,
)
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class WholeRun:
    """A run that has ended and that the server does not know yet."""

    name: str
    status: str
    start_time: int
    end_time: int
    params: Sequence[Param]
    tags: Sequence[RunTag]
    metrics: Sequence[Metric]
    datasets: Sequence[DatasetInput]
    run_id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __post_init__(self) -> None:
        """Check as MLflow would.

        Raises:
            MlflowException: If it would refuse any part.
        """
        _validate_run_id(self.run_id)
        _validate_batch_log_data(list(self.metrics), list(self.params), list(self.tags))
        _validate_param_keys_unique(list(self.params))
        for metric in self.metrics:
            _validate_metric(metric.key, metric.value, metric.timestamp, metric.step)
        _validate_dataset_inputs(list(self.datasets))


def database_of(client: MlflowClient) -> SqlAlchemyStore | None:
    """The database that a client writes to itself; None if it talks to a server."""
    store = client._tracking_client.store
    return store if isinstance(store, SqlAlchemyStore) else None


def insert_runs(store: SqlAlchemyStore, experiment: Experiment, runs: Sequence[WholeRun]) -> None:
    """Add runs to an experiment: all of them or none.

    Raises:
        MlflowException: If the experiment is deleted, or whatever the database fails with. Where
            the connection broke, the runs may be there nevertheless.
    """
    rows: dict[type, list[Row]] = {
        model: []
        for model in (
            models.SqlRun,
            models.SqlParam,
            models.SqlTag,
            models.SqlMetric,
            models.SqlLatestMetric,
            models.SqlDataset,
            models.SqlInput,
            models.SqlInputTag,
        )
    }
    with store.ManagedSessionMaker(read_only=False) as session:
        _require_active(session, experiment)
        known = _known_datasets(session, experiment)
        for run in runs:
            rows[models.SqlRun].append(_run_row(run, experiment))
            of_run = {"run_uuid": run.run_id}
            params = {param.key: param.value for param in run.params}
            rows[models.SqlParam] += [{"key": k, "value": v} | of_run for k, v in params.items()]
            tags = {tag.key: tag.value for tag in run.tags} | {MLFLOW_RUN_NAME: run.name}
            rows[models.SqlTag] += [{"key": k, "value": v} | of_run for k, v in tags.items()]
            points = _metric_rows(store, run)
            rows[models.SqlMetric] += points
            rows[models.SqlLatestMetric] += _latest(points)
            for given in run.datasets:
                _add_dataset(rows, known, given, run, experiment)
        for model, of_model in rows.items():
            if of_model:
                session.execute(insert(model), of_model)


def _run_row(run: WholeRun, experiment: Experiment) -> Row:
    return {
        "run_uuid": run.run_id,
        "name": run.name,
        "experiment_id": int(experiment.experiment_id),
        "artifact_uri": append_to_uri_path(
            experiment.artifact_location, run.run_id, SqlAlchemyStore.ARTIFACTS_FOLDER_NAME
        ),
        "source_type": SourceType.to_string(SourceType.UNKNOWN),
        "source_name": "",
        "entry_point_name": "",
        "source_version": "",
        "user_id": "unknown",
        "status": run.status,
        "start_time": run.start_time,
        "end_time": run.end_time,
        "lifecycle_stage": LifecycleStage.ACTIVE,
    }


def _metric_rows(store: SqlAlchemyStore, run: WholeRun) -> list[Row]:
    """Each point once; NaN and infinities as MLflow keeps them."""
    rows = {}
    for m in run.metrics:
        is_nan, value = store.sanitize_metric_value(m.value)
        rows[m.key, m.timestamp, m.step, value, is_nan] = {
            "run_uuid": run.run_id,
            "key": m.key,
            "value": value,
            "timestamp": m.timestamp,
            "step": m.step,
            "is_nan": is_nan,
        }
    return list(rows.values())


def _latest(points: Sequence[Row]) -> list[Row]:
    """The latest point of each metric, by what MLflow goes by; metrics in the order they came in.

    The MLflow UI offers them in that order.
    """
    latest: dict[str, Row] = {}
    for point in points:
        kept = latest.setdefault(point["key"], point)
        if _age(point) > _age(kept):
            latest[point["key"]] = point
    return list(latest.values())


def _age(point: Row) -> tuple[int, int, float]:
    return point["step"], point["timestamp"], point["value"]


def _require_active(session: Session, experiment: Experiment) -> None:
    """Refuse what nobody would see: somebody may have deleted the experiment meanwhile."""
    table: Any = models.SqlExperiment  # MLflow's models have no types for columns
    found = session.execute(
        select(table.lifecycle_stage).where(table.experiment_id == int(experiment.experiment_id))
    )
    if found.scalar() != LifecycleStage.ACTIVE:
        raise MlflowException(f"experiment {experiment.name!r} is deleted", INVALID_STATE)


def _known_datasets(session: Session, experiment: Experiment) -> dict[tuple[str, str], str]:
    table: Any = models.SqlDataset
    found = session.execute(
        select(table.name, table.digest, table.dataset_uuid).where(
            table.experiment_id == int(experiment.experiment_id)
        )
    )
    return {(name, digest): dataset_uuid for name, digest, dataset_uuid in found}


def _add_dataset(
    rows: dict[type, list[Row]],
    known: dict[tuple[str, str], str],
    given: DatasetInput,
    run: WholeRun,
    experiment: Experiment,
) -> None:
    dataset = given.dataset
    key = dataset.name, dataset.digest
    if key not in known:
        known[key] = uuid.uuid4().hex
        rows[models.SqlDataset].append(
            {
                "dataset_uuid": known[key],
                "experiment_id": int(experiment.experiment_id),
                "name": dataset.name,
                "digest": dataset.digest,
                "dataset_source_type": dataset.source_type,
                "dataset_source": dataset.source,
                "dataset_schema": dataset.schema,
                "dataset_profile": dataset.profile,
            }
        )
    edge = uuid.uuid4().hex
    rows[models.SqlInput].append(
        {
            "input_uuid": edge,
            "source_type": "DATASET",
            "source_id": known[key],
            "destination_type": "RUN",
            "destination_id": run.run_id,
        }
    )
    rows[models.SqlInputTag] += [
        {"input_uuid": edge, "name": tag.key, "value": tag.value} for tag in given.tags or ()
    ]
