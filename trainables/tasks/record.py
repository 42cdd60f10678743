"""Records of tasks: the task and data of a sweep or a kept model, as plain values."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from foldsweep.checks import brief, described, fits
from foldsweep.errors import UserError
from trainables.tasks.kinds import classification, regression
from trainables.tasks.metrics import Metric
from trainables.tasks.samples import Data
from trainables.tasks.splits import Split
from trainables.tasks.task import Task

_KEYS = {
    "name": str,
    "kind": str,
    "objective": str,
    "metrics": dict,
    "classes": list,
    "target": str,
    "split": dict,
    "schema": dict | None,
    "origin": dict,
    "outputs": int,
    "digest": str,
}


def task_record(task: Task, data: Data) -> dict[str, Any]:
    """Return the record of a task and its data, as plain values for JSON."""
    return {
        "name": task.name,
        "kind": task.kind,
        "objective": task.objective,
        "metrics": {name: _metric_record(metric) for name, metric in task.metrics.items()},
        "classes": list(task.classes),
        "target": task.target,
        "split": task.split.to_dict(),
        "schema": None if data.schema is None else data.schema.to_dict(),
        "origin": dict(data.origin),
        "outputs": task.outputs,
        "digest": data.digest,
    }


def _metric_record(metric: Metric) -> dict[str, Any]:
    return {
        "better": metric.better,
        "equal": metric.equal,
        "over": metric.over,
        "needs": metric.needs,
    }


def task_from_record(record: Mapping[str, Any], data: Data) -> Task:
    """Rebuild a recorded task whose data is a file or an embedded dataset.

    Args:
        record: Record that `task_record` returned.
        data: The recorded data, see `trainables.tasks.tables.data_again`.

    Raises:
        UserError: If the record is damaged, belongs to a task that a program defines, or the
            digest of `data` differs.
    """
    for key, hint in _KEYS.items():
        if not fits(record.get(key), hint):
            raise UserError.of(
                "record.value-invalid", key=key, value=brief(record.get(key)), rule=described(hint)
            )
    if record["digest"] != data.digest:
        raise UserError.of(
            "record.other-data",
            data=data.name,
            digest=data.digest,
            task=record["name"],
            recorded=record["digest"],
        )
    make: Any = {"classification": classification, "regression": regression}.get(record["kind"])
    if make is None or not record["origin"]:
        raise UserError.of("record.task-of-a-program", task=record["name"])
    task = make(
        record["name"],
        data,
        objective=record["objective"],
        metrics=tuple(record["metrics"]),
        split=Split.from_dict(record["split"]),
        target=record["target"],
    )
    return replace(task, metrics=_as_recorded(task, record["metrics"]))


def _as_recorded(task: Task, metrics: Mapping[str, Any]) -> dict[str, Metric]:
    """Return the task's metrics with the recorded regions of practical equivalence."""
    equal = {
        name: metrics[name].get("equal") for name in metrics if isinstance(metrics[name], dict)
    }
    if set(equal) != set(task.metrics) or not all(fits(value, float) for value in equal.values()):
        raise UserError.of("record.metrics-differ", task=task.name)
    return {name: replace(task.metrics[name], equal=equal[name]) for name in equal}
