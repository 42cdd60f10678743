"""What MLflow calls the parts of a spool's records."""

import re
from collections.abc import Iterable

from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag

from sweeps.tracking.spool import Record

Item = Metric | Param | RunTag

_PARAM_CHARS = 6000
_TAG_CHARS = 8000


def entities(records: Iterable[Record]) -> list[Item]:
    """Parameters, tags and metrics of a run, as MLflow's limits have them."""
    params: dict[tuple[str, str], None] = {}  # in order; a changed value is for MLflow to refuse
    tags: dict[str, str] = {}
    metrics = []
    for record in records:
        params |= dict.fromkeys(record.get("params", {}).items())
        tags |= record.get("tags", {})
        for key, value, step, time_ms in record.get("points", ()):
            metrics.append(Metric(_clean(key), value, time_ms, step))
    return [
        *(Param(_clean(key), value[:_PARAM_CHARS]) for key, value in params),
        *(RunTag(_clean(key), value[:_TAG_CHARS]) for key, value in tags.items()),
        *metrics,
    ]


def _clean(key: str) -> str:
    """The key with `_` for each character that MLflow allows in no name."""
    return re.sub(r"[^/\w.\- :]", "_", key)


def dataset_input(dataset: dict[str, str]) -> DatasetInput:
    """The dataset of a `start` record."""
    fields = {key: value for key, value in dataset.items() if key != "context"}
    tags = [InputTag("mlflow.data.context", dataset["context"])] if "context" in dataset else []
    return DatasetInput(Dataset(**fields), tags)
