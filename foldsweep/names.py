"""The name of everything that is measured or tagged: written by `sweeps`, read by `analysis`.

Metrics are `<split>_<quantity>[_std]`: the mean over folds, and with `_std` the sample standard
deviation over folds; one fold's value is `fold_<k>/<metric>`.
"""

from typing import Final

VAL_ACCURACY: Final = "val_accuracy"
"""Share of validation pairs whose comparison is right, mean over folds, in [0, 1]."""
VAL_LOSS: Final = "val_loss"
"""Weighted loss on the validation pairs, mean over folds."""
VAL_DIGIT_ACCURACY: Final = "val_digit_accuracy"
"""Share of validation images whose digit is right; only where a digit loss is trained."""
TRAIN_ACCURACY: Final = "train_accuracy"
"""As `val_accuracy`, on the training batches while they are trained on (dropout and all)."""
TRAIN_LOSS: Final = "train_loss"
"""As `val_loss`, on the training batches while they are trained on."""
TRAIN_MAIN_LOSS: Final = "train_main_loss"
"""The comparison's weighted part of `train_loss`; only where a digit loss is trained."""
TRAIN_AUX_LOSS: Final = "train_aux_loss"
"""The digits' weighted part of `train_loss`; only where a digit loss is trained."""
TEST_ACCURACY: Final = "test_accuracy"
"""Share of test pairs whose comparison is right, mean over rounds."""
TEST_LOSS: Final = "test_loss"
"""Weighted loss on the test pairs, mean over rounds."""
TEST_DIGIT_ACCURACY: Final = "test_digit_accuracy"
"""As `val_digit_accuracy`, on the test pairs, mean over rounds."""

REPORTED_ACCURACY: Final = "reported_accuracy"
"""What a report prints for the row that a run repeats."""

NUM_PARAMS: Final = "num_params"
"""Learnable numbers of one model, shared weights counted once."""
EPOCH: Final = "epoch"
"""Epochs trained."""
TRAIN_TIME: Final = "train_time_s"
"""Seconds spent training and validating all folds."""

DIRECTIONS: Final[dict[str, str]] = {
    VAL_ACCURACY: "maximize",
    VAL_DIGIT_ACCURACY: "maximize",
    VAL_LOSS: "minimize",
    NUM_PARAMS: "minimize",
    TRAIN_TIME: "minimize",
}
"""What a sweep can optimise, and which way is better."""


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


EVALUATION_FILE: Final = "evaluation.json"
"""Artifact of an evaluation: wrong answers by pair of digits, and wrongly answered pairs."""

TAG_KIND: Final = "foldsweep.kind"
"""`sweep`, `trial`, `evaluation`, `finals`, `model` or `reproduction`."""
TAG_SWEEP: Final = "foldsweep.sweep"
"""Name of the sweep and its space, `NAME/SPACE`."""
TAG_TRIAL: Final = "foldsweep.trial"
"""Number of the trial in its study."""
TAG_STATE: Final = "foldsweep.state"
"""`COMPLETE`, `PRUNED` or `FAIL` as the study has it."""
TAG_ORIGIN: Final = "foldsweep.origin"
"""Name of the setting a trial repeats, for example a report's own; absent if the sampler chose."""
GRID_ORIGIN: Final = "grid"
"""Origin of a point of a grid, which is no setting of anybody's."""
TAG_CONFIG: Final = "foldsweep.config"
"""The complete configuration as JSON."""
TAG_DISTRIBUTIONS: Final = "foldsweep.distributions"
"""What the sampler chose from, on the run of a sweep: by parameter, JSON as Optuna writes it."""
TAG_ERROR: Final = "foldsweep.error"
"""Why a trial failed."""
TAG_VARIANT: Final = "variant"
TAG_SPACE: Final = "space"
TAG_DATASET: Final = "dataset"
TAG_DATA_DIGEST: Final = "data_digest"
TAG_FOLDS: Final = "folds"
TAG_SEED: Final = "seed"
TAG_WEIGHT_SHARING: Final = "weight_sharing"
TAG_AUXILIARY: Final = "auxiliary"
TAG_GIT_COMMIT: Final = "git_commit"
TAG_MACHINE: Final = "machine"
TAG_VERSION: Final = "version."
"""Prefix of a library's name; the tag's value is its version."""
TAG_TRAIN_PAIRS: Final = "train_pairs"
TAG_TEST_PAIRS: Final = "test_pairs"
TAG_THREADS: Final = "threads"
"""Torch threads of a trial, which rounding may depend on."""
TAG_DEVICE: Final = "device"
"""`cpu` or `cuda`."""
TAG_MODE: Final = "mode"
TAG_SELECTED_ON: Final = "foldsweep.selected_on"
"""`test` where trials were scored on the test pairs; absent otherwise."""
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
