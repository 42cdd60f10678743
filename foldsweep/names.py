"""Names of metrics, tags and artifacts in MLflow, which `sweeps` writes and `analysis` reads.

Metrics are `<split>_<quantity>[_std]`: the mean over folds, and with `_std` the sample standard
deviation over folds. The value of fold k is `fold_<k>/<metric>`.
"""

from collections.abc import Mapping
from typing import Final

VAL_LOSS: Final = "val_loss"
"""Loss on the held-out rows, mean over folds."""
TRAIN_LOSS: Final = "train_loss"
"""Loss on the training batches in training mode, with dropout; mean over folds."""
TEST_LOSS: Final = "test_loss"
"""Loss on the test rows, mean over rounds."""

REPORTED: Final = "reported_"
"""Prefix of the published metrics of the report row that a run reproduces."""

NUM_PARAMS: Final = "num_params"
"""Trainable parameters of one model, shared weights counted once; 0 for estimators."""
EPOCH: Final = "epoch"
"""Epochs trained, or units of an estimator's resource."""
TRAIN_TIME: Final = "train_time_s"
"""Seconds spent training and validating all folds."""


def val_key(metric: str) -> str:
    """Return the key of a task's metric on held-out rows, mean over folds.

    A key that begins with `val_` is returned unchanged.
    """
    return metric if metric.startswith("val_") else f"val_{metric}"


def train_key(metric: str) -> str:
    """Return the key of a task's metric on training batches."""
    return f"train_{metric}"


def test_key(metric: str) -> str:
    """Return the key of a task's metric on test rows, mean over rounds."""
    return f"test_{metric}"


def sign(better: str) -> int:
    """Return the factor that makes higher values better: 1, or -1 if `better` is `lower`."""
    return 1 if better == "higher" else -1


def bare(key: str) -> str:
    """Return the short name of a metric from its key.

    >>> bare("val_roc_auc"), bare("num_params")
    ('roc_auc', 'num_params')
    """
    return key.removeprefix("val_").removeprefix("test_").removeprefix("train_")


def std_key(metric: str) -> str:
    """Return the key of the standard deviation of `metric` over folds."""
    return f"{metric}_std"


def fold_key(fold: int, metric: str) -> str:
    """Return the key of the value of `metric` on one fold."""
    return f"fold_{fold}/{metric}"


def round_key(index: int, metric: str) -> str:
    """Return the key of the value of `metric` in one round."""
    return f"round_{index}/{metric}"


def best_key(metric: str) -> str:
    """Return the key of the best value of `metric` over epochs."""
    return f"best_{metric}"


def bootstrap_key(metric: str) -> str:
    """Return the key of the best trial's expected `metric` on fresh data, see `sweeps.bootstrap`.

    This metric is logged to the run of a sweep.

    >>> bootstrap_key("val_accuracy")
    'bootstrap_val_accuracy'
    """
    return f"bootstrap_{metric}"


def constant_key(metric: str) -> str:
    """Return the key of the metric of a constant prediction, see `sweeps.constant`.

    This metric is logged to the run of a sweep.

    >>> constant_key("val_accuracy")
    'constant_val_accuracy'
    """
    return f"constant_{metric}"


def bootstrap_low_key(metric: str) -> str:
    """Return the key of the lower end of the 95 % interval of `bootstrap_key`."""
    return f"{bootstrap_key(metric)}_low"


def bootstrap_high_key(metric: str) -> str:
    """Return the key of the upper end of the 95 % interval of `bootstrap_key`."""
    return f"{bootstrap_key(metric)}_high"


def bootstrap_trials_key(metric: str) -> str:
    """Return the key of the number of complete trials from which `bootstrap_key` is computed."""
    return f"{bootstrap_key(metric)}_trials"


HELD_OUT: Final = "held_out"
"""Folder of results on each held-out row, in the folder of a sweep's space and in the artifacts of
a trial."""


def held_out_file(trial: int) -> str:
    """Return the name of a trial's file in `HELD_OUT`, see `trainables.stack.held_out`.

    >>> held_out_file(12)
    'trial_00012.npz'
    """
    return f"trial_{trial:05d}.npz"


EVALUATION_FILE: Final = "evaluation.json"
"""Artifact of an evaluation: predictions for the test rows, see `sweeps.answers`."""

TASK_FILE: Final = "task.json"
"""Artifact of a sweep: the task's record, see `trainables.tasks.record`."""

STATE: Final = "foldsweep."
"""Prefix of the tags that programs read back. Their values are stored whole, see `tags_of`. Other
tags and all params are for people, and MLflow truncates them."""
_TAG_FITS: Final = 4000
"""Most characters in the value of one tag: MLflow truncates silently at 8,000, and its earlier
servers reject more than 5,000."""
_IN_PARTS: Final = "in parts: "


def tags_of(key: str, value: str) -> dict[str, str]:
    """Return the tags that store a value whole: one tag, or several numbered ones if it is long.

    >>> list(tags_of("foldsweep.config", 9000 * "x"))
    ['foldsweep.config', 'foldsweep.config.1', 'foldsweep.config.2', 'foldsweep.config.3']
    """
    if len(value) <= _TAG_FITS and not value.startswith(_IN_PARTS):
        return {key: value}
    parts = [value[i : i + _TAG_FITS] for i in range(0, len(value), _TAG_FITS)]
    numbered = {f"{key}.{i}": part for i, part in enumerate(parts, start=1)}
    return {key: f"{_IN_PARTS}{len(parts)}", **numbered}


def whole_tag(tags: Mapping[str, str], key: str) -> str | None:
    """Return the value that `tags_of` has split; None if the tag is absent.

    Raises:
        ValueError: If a part is missing.
    """
    value = tags.get(key)
    if value is None or not value.startswith(_IN_PARTS):
        return value
    keys = [f"{key}.{i}" for i in range(1, int(value.removeprefix(_IN_PARTS)) + 1)]
    missing = [part for part in keys if part not in tags]
    if missing:
        raise ValueError(f"tag {missing[0]} is missing")
    return "".join(tags[part] for part in keys)


TAG_KIND: Final = "foldsweep.kind"
"""`sweep`, `trial`, `evaluation`, `ensemble`, `finals`, `model` or `reproduction`."""
TAG_ENSEMBLE: Final = "foldsweep.ensemble"
"""Number of models in an ensemble, whose predictions are averaged; absent for a single model."""
TAG_SWEEP: Final = "foldsweep.sweep"
"""Name of the sweep and its space, `NAME/SPACE`."""
TAG_UUID: Final = "foldsweep.uuid"
"""Unique generated identifier of the sweep; absent on runs of older sweeps."""
TAG_TRIAL: Final = "foldsweep.trial"
"""Number of the trial in its study."""
TAG_STATE: Final = "foldsweep.state"
"""State of a trial: `COMPLETE`, `PRUNED` or `FAIL` as in the study, `PAUSED` at a rung, or
`RUNNING`."""
PAUSED: Final = "PAUSED"
TAG_WARM_START: Final = "foldsweep.warm_start"
"""On the run of a sweep: the earlier sweeps that warm-started its sampler, with numbers of
trials."""
TAG_LAGS: Final = "foldsweep.lags"
"""Lags of the sampler at each rung and at the last epoch, with spaces between; empty if it uses
results by arrival."""
TAG_ORIGIN: Final = "foldsweep.origin"
"""Name of a trial's initial point, for example a published one; absent if the trial was
sampled."""
GRID_ORIGIN: Final = "grid"
"""Origin of a trial that is a point of a grid, not a named initial point."""
TAG_CONFIG: Final = "foldsweep.config"
"""The configuration as JSON, without inactive conditional fields."""
TAG_DISTRIBUTIONS: Final = "foldsweep.distributions"
"""Distributions of the sampled parameters, on the run of a sweep: by name, JSON as Optuna writes
it."""
TAG_CONDITIONAL: Final = "foldsweep.conditional"
"""Names of the conditional parameters, with spaces between; absent if there are none."""
TAG_OBJECTIVE: Final = "foldsweep.objective"
"""Keys of the objectives of a sweep, with spaces between."""
TAG_TRIALS: Final = "foldsweep.trials"
"""Number of trials requested, on the run of a sweep. It is a tag, since a param would keep its
first value when a sweep is resumed with more trials."""
TAG_RESOURCE: Final = "foldsweep.resource"
"""Resource of a whole trial of a sweep, such as `50 epochs` or `100 n_estimators`; empty for
estimators that are fitted in one step."""
TAG_SCHEDULER: Final = "foldsweep.scheduler"
"""Scheduler (early stopping) of a sweep as last resumed; `none` without early stopping."""
TAG_OVERLAP: Final = "foldsweep.overlap"
"""Ratio of held-out to training rows, mean over folds: 1 / (k - 1) for k equal folds."""
TAG_FRESH_ROWS: Final = "foldsweep.fresh_rows"
"""`true` on finals each of whose repeats has other rows, so that only folds of one repeat
overlap."""
TAG_NODES: Final = "foldsweep.nodes"
"""Machines of all attempts at a trial, in order: `host (address); ...`."""
TAG_ERROR: Final = "foldsweep.error"
"""Reason for a trial's failure."""
TAG_FAILURE: Final = "foldsweep.failure"
"""Kind of a trial's failure: `REFUSED`, `TIMED_OUT`, `DIVERGED` or `CRASHED`."""
REFUSED: Final = "refused"
"""Failure of a trial with an invalid combination of values; another trial replaces it."""
TIMED_OUT: Final = "timed out"
"""Failure of a trial that took longer than `--trial-timeout`."""
DIVERGED: Final = "diverged"
"""Failure of a trial whose loss became infinite or NaN."""
CRASHED: Final = "crashed"
"""Failure of a trial for any other reason, at each of its attempts."""
TAG_TASK: Final = "task"
"""Name of the task; comparisons never pool tasks."""
TAG_METRICS: Final = "foldsweep.metrics"
"""The task's metrics as JSON: by key, the direction and the region of practical equivalence."""
TAG_VARIANT: Final = "variant"
"""`task/variant`."""
TAG_SPACE: Final = "space"
TAG_DATASET: Final = "dataset"
TAG_DATA_DIGEST: Final = "data_digest"
TAG_FOLDS: Final = "folds"
TAG_REPEATS: Final = "repeats"
"""Number of repeats of the split into folds."""
TAG_SEED: Final = "seed"
TAG_GIT_COMMIT: Final = "git_commit"
TAG_MACHINE: Final = "machine"
TAG_VERSION: Final = "version."
"""Prefix of a library's name; the tag's value is its version."""
TAG_TRAIN_ROWS: Final = "train_rows"
TAG_TEST_ROWS: Final = "test_rows"
TAG_THREADS: Final = "threads"
"""Torch threads of a trial; rounding may depend on their number."""
TAG_DEVICE: Final = "device"
"""`cpu` or `cuda`."""
TAG_MODE: Final = "mode"
TAG_SELECTED_ON: Final = "foldsweep.selected_on"
"""`test` where trials were scored on the test rows; absent otherwise."""
TAG_PRESET: Final = "foldsweep.preset"
"""Row of a report that a run reproduces, `report/row`."""
TAG_TABLE: Final = "foldsweep.table"
"""Table of a report that contains the row, `report/table`."""
TAG_ROW: Final = "foldsweep.row"
"""Index of the row in its table, from 0."""
TAG_PROTOCOL: Final = "foldsweep.protocol"
"""Measurement protocol of a row, in words."""
TAG_SPACE_FILE: Final = "space_file"
"""Path of a user's space file; absent for spaces that ship with foldsweep."""
TAG_FILE_DIGEST: Final = "foldsweep.file_digest"
"""SHA-256 of the user's space file."""
