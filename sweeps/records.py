"""Metadata that a sweep records: tags of its runs, data, task, published results."""

import hashlib
import json
from pathlib import Path

from foldsweep import names
from foldsweep.files import write_whole
from search_spaces.space import SearchSpace
from sweeps.provenance import git_commit, machine, user, versions
from sweeps.resources import Allotment
from sweeps.settings import SweepSettings
from trainables.presets.preset import Preset
from trainables.presets.registry import PRESETS
from trainables.tasks.record import task_record
from trainables.tasks.samples import Data
from trainables.tasks.shapes import inputs_record
from trainables.tasks.task import Task

# MLflow's own tags, defined here so that the driver need not import MLflow
MLFLOW_RUN_NOTE = "mlflow.note.content"
MLFLOW_SOURCE_NAME = "mlflow.source.name"
MLFLOW_USER = "mlflow.user"


def run_tags(
    settings: SweepSettings, space: SearchSpace, data: Data, sweep: str, allotment: Allotment
) -> dict[str, str]:
    """Tags of every run of a sweep, by which the MLflow UI groups and filters."""
    variant = space.variant
    return {
        names.TAG_SWEEP: sweep,
        names.TAG_SPACE: space.name,
        names.TAG_TASK: variant.task.name,
        names.TAG_METRICS: json.dumps(variant.task.optimisable),
        names.TAG_OBJECTIVE: " ".join(settings.objective),
        names.TAG_VARIANT: variant.full_name,
        **variant.tags,
        names.TAG_DATASET: data.name,
        names.TAG_DATA_DIGEST: data.digest,
        names.TAG_FOLDS: str(settings.folds),
        names.TAG_REPEATS: str(settings.repeats),
        names.TAG_SEED: str(settings.seed),
        names.TAG_GIT_COMMIT: git_commit(),
        names.TAG_TRAIN_ROWS: str(len(data.train)),
        names.TAG_TEST_ROWS: str(0 if data.test is None else len(data.test)),
        names.TAG_THREADS: str(allotment.threads),
        names.TAG_DEVICE: allotment.device,
        names.TAG_MODE: settings.mode,
        **_file_tags(space),
        **({names.TAG_SELECTED_ON: "test"} if settings.select_on_test else {}),
        names.TAG_MACHINE: machine(),
        MLFLOW_SOURCE_NAME: "sweeps/run.py",
        MLFLOW_USER: user(),
        **{f"{names.TAG_VERSION}{library}": v for library, v in versions().items()},
    }


def _file_tags(space: SearchSpace) -> dict[str, str]:
    """Tags with path and digest of a space's own file; empty if it has none."""
    if space.file is None:
        return {}
    digest = hashlib.sha256(Path(space.file).read_bytes()).hexdigest()
    return {names.TAG_SPACE_FILE: space.file, names.TAG_FILE_DIGEST: digest}


def dataset_record(data: Data) -> dict[str, str]:
    """The data as an MLflow dataset input."""
    sizes = {
        "train_rows": len(data.train),
        "test_rows": 0 if data.test is None else len(data.test),
    }
    return {
        "name": data.name,
        "digest": data.digest[:36],
        "source_type": "code",
        "source": json.dumps({"tags": {MLFLOW_SOURCE_NAME: f"foldsweep {data.name}"}}),
        "profile": json.dumps(sizes),
        "context": "training",
    }


def write_task(folder: Path, task: Task, data: Data) -> Path:
    """Write the task's record, which exports and analysis read; return the path of the file."""
    # names without folders, which differ between the machines that read the record
    origin = {
        k: Path(v).name if k in ("data", "test") and v else v for k, v in data.origin.items()
    }
    record = {**task_record(task, data), **inputs_record(task, data), "origin": origin}
    record["unit"] = task.unit
    path = folder / names.TASK_FILE
    write_whole(path, json.dumps({"record": record, "origin": origin}, indent=1) + "\n")
    return path


def reported_row(space: SearchSpace) -> Preset | None:
    """Preset that the space's baseline reproduces; None if the report has no results of it."""
    preset = PRESETS.get(space.points[0].name) if space.points else None
    return preset if preset is not None and reported_figures(preset) else None


def reported_figures(preset: Preset) -> dict[str, float]:
    """Published accuracy of a preset, with its standard deviation if published; empty if none."""
    for measurement in preset.measurements:
        accuracy, std = measurement.reported.accuracy, measurement.reported.std
        if accuracy is not None:
            key = f"{names.REPORTED}accuracy"
            return {key: accuracy, **({} if std is None else {names.std_key(key): std})}
    return {}
