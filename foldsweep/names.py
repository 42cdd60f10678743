"""The name of everything that is measured or tagged: written by `sweeps`, read by `analysis`.

Metrics are `<split>_<quantity>[_std]`: the mean over folds, and with `_std` the sample standard
deviation over folds; one fold's value is `fold_<k>/<metric>`.
"""

from collections.abc import Mapping
from typing import Final

VAL_LOSS: Final = "val_loss"
"""Loss on the held-out rows, mean over folds."""
TRAIN_LOSS: Final = "train_loss"
"""As `val_loss`, on the training batches while they are trained on (dropout and all)."""
TEST_LOSS: Final = "test_loss"
"""Loss on the test rows, mean over rounds."""

REPORTED: Final = "reported_"
"""Prefix of what a report prints for the row that a run repeats."""

NUM_PARAMS: Final = "num_params"
"""Trainable parameters of one model, shared weights counted once; 0 for estimators."""
EPOCH: Final = "epoch"
"""Epochs trained, or units of an estimator's resource."""
TRAIN_TIME: Final = "train_time_s"
"""Seconds spent training and validating all folds."""


def val_key(metric: str) -> str:
    """Key of a task's metric on held-out rows, mean over folds; `val_...` stays as it is."""
    return metric if metric.startswith("val_") else f"val_{metric}"


def train_key(metric: str) -> str:
    """Key of a task's metric on training batches."""
    return f"train_{metric}"


def test_key(metric: str) -> str:
    """Key of a task's metric on test rows, mean over rounds."""
    return f"test_{metric}"


def sign(better: str) -> int:
    """The sign that makes higher numbers better: 1, or -1 where `better` is `lower`."""
    return 1 if better == "higher" else -1


def bare(key: str) -> str:
    """A metric's short name, of its key.

    >>> bare("val_roc_auc"), bare("num_params")
    ('roc_auc', 'num_params')
    """
    return key.removeprefix("val_").removeprefix("test_").removeprefix("train_")


def std_key(metric: str) -> str:
    """Key of the standard deviation over folds of `metric`."""
    return f"{metric}_std"


def fold_key(fold: int, metric: str) -> str:
    """Key of one fold's `metric`."""
    return f"fold_{fold}/{metric}"


def round_key(index: int, metric: str) -> str:
    """Key of one round's `metric`."""
    return f"round_{index}/{metric}"


def best_key(metric: str) -> str:
    """Key of the best value that `metric` reached at any epoch."""
    return f"best_{metric}"


def bootstrap_key(metric: str) -> str:
    """Key of what the best trial's `metric` is expected to be on fresh data.

    It is on the run of a sweep, see `sweeps.bootstrap`.

    >>> bootstrap_key("val_accuracy")
    'bootstrap_val_accuracy'
    """
    return f"bootstrap_{metric}"


def bootstrap_low_key(metric: str) -> str:
    """Key of the lower end of the 95 % interval of `bootstrap_key`."""
    return f"{bootstrap_key(metric)}_low"


def bootstrap_high_key(metric: str) -> str:
    """Key of the upper end of the 95 % interval of `bootstrap_key`."""
    return f"{bootstrap_key(metric)}_high"


def bootstrap_trials_key(metric: str) -> str:
    """Key of the number of complete trials that `bootstrap_key` is computed from."""
    return f"{bootstrap_key(metric)}_trials"


HELD_OUT: Final = "held_out"
"""Folder of what trials came to on each held-out row: of a sweep's space, and of a trial's
artifacts."""


def held_out_file(trial: int) -> str:
    """Name of a trial's file in `HELD_OUT`, see `trainables.stack.held_out`.

    >>> held_out_file(12)
    'trial_00012.npz'
    """
    return f"trial_{trial:05d}.npz"


EVALUATION_FILE: Final = "evaluation.json"
"""Artifact of an evaluation: what was answered to the test rows, see `sweeps.answers`."""

TASK_FILE: Final = "task.json"
"""Artifact of a sweep: the task's record, see `trainables.tasks.record`."""

STATE: Final = "foldsweep."
"""Prefix of the tags that programs read back: they are kept whole, see `tags_of`. Others, and all
params, are for people, and MLflow cuts them."""
_TAG_FITS: Final = 4000
"""Characters of one tag's value: MLflow cuts at 8,000 without a word, its earlier servers refuse
more than 5,000."""
_IN_PARTS: Final = "in parts: "


def tags_of(key: str, value: str) -> dict[str, str]:
    """The tags that hold a value whole: one, or as many numbered ones as it takes.

    >>> list(tags_of("foldsweep.config", 9000 * "x"))
    ['foldsweep.config', 'foldsweep.config.1', 'foldsweep.config.2', 'foldsweep.config.3']
    """
    if len(value) <= _TAG_FITS and not value.startswith(_IN_PARTS):
        return {key: value}
    parts = [value[i : i + _TAG_FITS] for i in range(0, len(value), _TAG_FITS)]
    numbered = {f"{key}.{i}": part for i, part in enumerate(parts, start=1)}
    return {key: f"{_IN_PARTS}{len(parts)}", **numbered}


def whole_tag(tags: Mapping[str, str], key: str) -> str | None:
    """The value that `tags_of` was given; None where there is none.

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
"""Number of models that answer as one; absent where it is one model."""
TAG_SWEEP: Final = "foldsweep.sweep"
"""Name of the sweep and its space, `NAME/SPACE`."""
TAG_UUID: Final = "foldsweep.uuid"
"""Identity of the sweep, which no human chooses; absent on runs of sweeps that are older."""
TAG_TRIAL: Final = "foldsweep.trial"
"""Number of the trial in its study."""
TAG_STATE: Final = "foldsweep.state"
"""`COMPLETE`, `PRUNED` or `FAIL` as the study has it; `PAUSED` at a rung, or `RUNNING`."""
PAUSED: Final = "PAUSED"
TAG_WARM_START: Final = "foldsweep.warm_start"
"""Of a sweep's run: how many trials of which earlier sweeps its sampler saw from the start."""
TAG_LAGS: Final = "foldsweep.lags"
"""Lags of what the sampler sees, by rung and for the last epoch; empty if by arrival."""
TAG_ORIGIN: Final = "foldsweep.origin"
"""Name of the setting a trial repeats, for example a report's own; absent if the sampler chose."""
GRID_ORIGIN: Final = "grid"
"""Origin of a point of a grid, which is no setting of anybody's."""
TAG_CONFIG: Final = "foldsweep.config"
"""The configuration as JSON, without the fields that do not count for others' values."""
TAG_DISTRIBUTIONS: Final = "foldsweep.distributions"
TAG_CONDITIONAL: Final = "foldsweep.conditional"
"""Names of the parameters that not every trial has, by spaces; absent if there are none."""
"""What the sampler chose from, on the run of a sweep: by parameter, JSON as Optuna writes it."""
TAG_OBJECTIVE: Final = "foldsweep.objective"
"""Keys of what a sweep optimises, with spaces between."""
TAG_TRIALS: Final = "foldsweep.trials"
"""Trials asked for, on the run of a sweep; a param would keep what a resumed sweep first had."""
TAG_RESOURCE: Final = "foldsweep.resource"
"""The most that a trial of a sweep trains, such as `50 epochs` or `100 n_estimators`; empty for
what is fitted at once."""
TAG_SCHEDULER: Final = "foldsweep.scheduler"
"""What stops trials of a sweep early, as last resumed; `none` where nothing does."""
TAG_OVERLAP: Final = "foldsweep.overlap"
"""Held-out rows for each training row, mean over folds: 1 / (k - 1) for k equal folds."""
TAG_FRESH_ROWS: Final = "foldsweep.fresh_rows"
"""`true` on finals whose repeats have rows of their own: only folds of one repeat overlap."""
TAG_NODES: Final = "foldsweep.nodes"
"""On which machines the attempts at a trial ran, in their order: `host (address); ...`."""
TAG_ERROR: Final = "foldsweep.error"
"""Why a trial failed."""
TAG_FAILURE: Final = "foldsweep.failure"
"""Kind of a trial's failure: `REFUSED`, `TIMED_OUT`, `DIVERGED` or `CRASHED`."""
REFUSED: Final = "refused"
"""A combination of values that no trial can be made of; another is tried in its place."""
TIMED_OUT: Final = "timed out"
"""A trial that took longer than `--trial-timeout`."""
DIVERGED: Final = "diverged"
"""A trial whose loss became infinite or NaN."""
CRASHED: Final = "crashed"
"""A trial that failed in any other way, as often as it was tried."""
TAG_TASK: Final = "task"
"""Name of the task; comparisons never pool tasks."""
TAG_METRICS: Final = "foldsweep.metrics"
"""The task's metrics as JSON: by key, which way is better and what counts as equal."""
TAG_VARIANT: Final = "variant"
"""`task/variant`."""
TAG_SPACE: Final = "space"
TAG_DATASET: Final = "dataset"
TAG_DATA_DIGEST: Final = "data_digest"
TAG_FOLDS: Final = "folds"
TAG_REPEATS: Final = "repeats"
"""How often the rows are cut into folds."""
TAG_SEED: Final = "seed"
TAG_GIT_COMMIT: Final = "git_commit"
TAG_MACHINE: Final = "machine"
TAG_VERSION: Final = "version."
"""Prefix of a library's name; the tag's value is its version."""
TAG_TRAIN_ROWS: Final = "train_rows"
TAG_TEST_ROWS: Final = "test_rows"
TAG_THREADS: Final = "threads"
"""Torch threads of a trial, which rounding may depend on."""
TAG_DEVICE: Final = "device"
"""`cpu` or `cuda`."""
TAG_MODE: Final = "mode"
TAG_SELECTED_ON: Final = "foldsweep.selected_on"
"""`test` where trials were scored on the test rows; absent otherwise."""
TAG_PRESET: Final = "foldsweep.preset"
"""Row of a report, `report/row`, that a run repeats."""
TAG_TABLE: Final = "foldsweep.table"
"""Table of a report, `report/table`, that the row is of."""
TAG_ROW: Final = "foldsweep.row"
"""Place of the row in its table, counted from 0."""
TAG_PROTOCOL: Final = "foldsweep.protocol"
"""How a row was measured, in words."""
TAG_SPACE_FILE: Final = "space_file"
"""Path of a user's own space; absent for those that come with foldsweep."""
TAG_FILE_DIGEST: Final = "foldsweep.file_digest"
"""SHA-256 of that file."""
