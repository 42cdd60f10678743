"""Export the best configurations: `python analysis/export.py --space cnn_ws_aux`."""

import json
import shlex
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from analysis.load import Store, complete_trials, open_store, sweeps_named
from trainables import metrics
from trainables.errors import UserError
from trainables.programs import console, parse, run_program
from trainables.recipe import Recipe
from trainables.tracking import shown, tracking_uri


@dataclass(frozen=True, kw_only=True)
class ExportSettings:
    """Write a sweep's best configurations to small YAML files that evaluate.py measures again."""

    space: str | None = None
    """Export from the latest sweep of this space."""
    sweep: str | None = None
    """Export from the sweep of this name, for each of its spaces."""
    run: str | None = None
    """Export the trial with this MLflow run id."""
    top: int = 1
    """How many of the best."""
    out: Path = Path()
    """Folder to write to."""
    experiment: str = "foldsweep"
    """MLflow experiment."""
    tracking_uri: str | None = None
    """MLflow server or store [MLFLOW_TRACKING_URI, else mlflow.db in this folder]."""


def main() -> int:
    """Export what the command line asks for; returns the exit code."""
    settings = parse(ExportSettings, sys.argv[1:], prog="analysis/export.py")
    if settings.top < 1:
        raise UserError(f"--top must be at least 1, but is {settings.top}")
    if not (settings.space or settings.sweep or settings.run):
        raise UserError("say what to export: --space NAME, --sweep NAME or --run ID")
    if settings.run and (settings.space or settings.sweep):
        raise UserError("--run ID names one trial: leave out --space and --sweep")
    if not settings.out.is_dir():
        raise UserError(f"--out {settings.out} is not a folder")
    store = open_store(tracking_uri(settings.tracking_uri), settings.experiment)
    if settings.run:
        return _export(store, _trial(store, settings.run), settings.out, rank=1)
    sweeps = sweeps_named(store, name=settings.sweep, space=settings.space)
    for sweep in sweeps if settings.sweep else sweeps[:1]:
        for rank, run in enumerate(complete_trials(store, sweep)[: settings.top], start=1):
            _export(store, run, settings.out, rank=rank)
    return 0


def recipe_of(store: Store, run: Run) -> Recipe:
    """The recipe that repeats a trial.

    Raises:
        UserError: If the run is no complete trial.
    """
    tags, values = run.data.tags, run.data.metrics
    if tags.get(metrics.TAG_STATE) != "COMPLETE":
        raise UserError(f"run {run.info.run_id} is no complete trial of a sweep")
    if tags.get(metrics.TAG_SELECTED_ON):
        raise UserError(
            f"run {run.info.run_id} was selected on test pairs: none are left to measure it on;"
            " sweep without --select-on-test"
        )
    fold_scores: dict[str, list[float]] = {}
    for fold in range(int(tags[metrics.TAG_FOLDS])):
        for key in (k for k in values if k.startswith(metrics.fold_key(fold, ""))):
            fold_scores.setdefault(key.partition("/")[2], []).append(values[key])
    score = {}
    for name in fold_scores:
        score[name] = values[name]
        score[metrics.std_key(name)] = values[metrics.std_key(name)]
    return Recipe(
        space=tags.get(metrics.TAG_SPACE_FILE, tags[metrics.TAG_SPACE]),
        variant=tags[metrics.TAG_VARIANT],
        config=json.loads(tags[metrics.TAG_CONFIG]),
        score=score,
        fold_scores=fold_scores,
        num_params=int(values[metrics.NUM_PARAMS]),
        dataset=tags[metrics.TAG_DATASET],
        data_digest=tags[metrics.TAG_DATA_DIGEST],
        train_pairs=int(tags[metrics.TAG_TRAIN_PAIRS]),
        test_pairs=int(tags[metrics.TAG_TEST_PAIRS]),
        folds=int(tags[metrics.TAG_FOLDS]),
        seed=int(tags[metrics.TAG_SEED]),
        trial=int(tags[metrics.TAG_TRIAL]),
        threads=int(tags[metrics.TAG_THREADS]),
        device=tags[metrics.TAG_DEVICE],
        mode=tags[metrics.TAG_MODE],
        sweep=tags[metrics.TAG_SWEEP],
        mlflow={
            "tracking_uri": shown(store.tracking_uri),
            "experiment": store.experiment,
            "run_id": run.info.run_id,
            "sweep_run_id": tags.get("mlflow.parentRunId", ""),
        },
        git_commit=tags[metrics.TAG_GIT_COMMIT],
        versions={
            key.removeprefix(metrics.TAG_VERSION): value
            for key, value in tags.items()
            if key.startswith(metrics.TAG_VERSION)
        },
        machine=tags[metrics.TAG_MACHINE],
        exported_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _export(store: Store, run: Run, out: Path, *, rank: int) -> int:
    recipe = recipe_of(store, run)
    suffix = "" if rank == 1 else f"-{rank}"
    path = out / f"best-{recipe.sweep.replace('/', '-')}{suffix}.yaml"
    command = f"python sweeps/evaluate.py {shlex.quote(str(path))}"
    score = recipe.score[metrics.VAL_ACCURACY]
    std = recipe.score[metrics.std_key(metrics.VAL_ACCURACY)]
    recipe.save(
        path,
        comment=f"Trial {recipe.trial} of sweep {recipe.sweep}.\n"
        f"Test accuracy over 10 rounds: {command} --rounds 10\n"
        f"This cross-validated score again: {command} --cv",
    )
    console.print(
        f"{path}: trial {recipe.trial} of {recipe.sweep},"
        f" {metrics.VAL_ACCURACY} {score:.4f} ± {std:.4f} on {recipe.dataset}"
    )
    return 0


def _trial(store: Store, run_id: str) -> Run:
    try:
        run = store.client.get_run(run_id)
    except MlflowException:
        raise UserError(f"MLflow at {shown(store.tracking_uri)} has no run {run_id!r}") from None
    if run.data.tags.get(metrics.TAG_KIND) == "sweep":
        return complete_trials(store, run.data.tags[metrics.TAG_SWEEP])[0]
    return run


if __name__ == "__main__":
    run_program(main)
