"""MLflow entities (parameters, tags, metrics, datasets) of a spool's records."""

import re
from collections.abc import Iterable

from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag

from foldsweep import names
from sweeps.tracking.spool import Record

Item = Metric | Param | RunTag

_PARAM_CHARS = 6000
_TAG_CHARS = 8000


def entities(records: Iterable[Record]) -> list[Item]:
    """Parameters, tags and metrics of a run, within MLflow's length limits.

    Parameters and tags for people are cut to these limits. Tags that programs read back (prefix
    `names.STATE`) stay whole: long ones are split over several tags.
    """
    params: dict[tuple[str, str], None] = {}  # in order; MLflow refuses a changed value
    tags: dict[str, str] = {}
    metrics = []
    for record in records:
        for key, value in record.get("params", {}).items():
            params[key, storable(value)] = None
        for key, text in record.get("tags", {}).items():
            value = storable(text)
            is_state = key.startswith(names.STATE)
            tags |= names.tags_of(key, value) if is_state else {key: value[:_TAG_CHARS]}
        for key, value, step, time_ms in record.get("points", ()):
            metrics.append(Metric(clean(key), value, time_ms, step))
    return [
        *(Param(clean(key), value[:_PARAM_CHARS]) for key, value in params),
        *(RunTag(clean(key), value) for key, value in tags.items()),
        *metrics,
    ]


def storable(text: str) -> str:
    """The text with NUL characters and lone surrogates replaced, which no database accepts."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()


def clean(key: str) -> str:
    """The key with `_` in place of each character that MLflow forbids in names."""
    return re.sub(r"[^/\w.\- :]", "_", key)


def dataset_input(dataset: dict[str, str]) -> DatasetInput:
    """The dataset of a `start` record."""
    fields = {key: storable(value) for key, value in dataset.items() if key != "context"}
    tags = [InputTag("mlflow.data.context", dataset["context"])] if "context" in dataset else []
    return DatasetInput(Dataset(**fields), tags)
