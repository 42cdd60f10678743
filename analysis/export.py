"""Export the best configurations: `python analysis/export.py --space cnn_ws_aux`."""

import json
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from analysis.load import Store, complete_trials, open_store, sweeps_named
from foldsweep import names as metrics
from foldsweep.errors import UserError
from foldsweep.programs import console, parse, require_at_least, run_program
from foldsweep.tracking import shown, tracking_uri
from trainables.recipe import ModelFormat, Recipe


@dataclass(frozen=True, kw_only=True)
class ExportSettings:
    """Write a sweep's best configurations to small YAML files that evaluate.py measures again.

    With --register or --format each is also trained, on all training pairs, and kept as a model.
    """

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
    register: str | None = None
    """Register the trained model in MLflow under this name; it becomes the name's champion if it
    beats the present one on the same test pairs beyond noise."""
    format: tuple[ModelFormat, ...] = ()
    """Write the trained model to stand-alone files too: torchscript, onnx, pt2."""
    data_dir: Path | None = None
    """Folder of the MNIST files [FOLDSWEEP_DATA, else a cache folder of the user]."""
    experiment: str = "foldsweep"
    """MLflow experiment."""
    tracking_uri: str | None = None
    """MLflow server or store [MLFLOW_TRACKING_URI, else mlflow.db in this folder]."""


def main() -> int:
    """Export what the command line asks for; returns the exit code."""
    settings = parse(ExportSettings, sys.argv[1:], prog="analysis/export.py")
    require_at_least(1, settings, "top")
    if not (settings.space or settings.sweep or settings.run):
        raise UserError("say what to export: --space NAME, --sweep NAME or --run ID")
    if settings.run and (settings.space or settings.sweep):
        raise UserError("--run ID names one trial: leave out --space and --sweep")
    if not settings.out.is_dir():
        raise UserError(f"--out {settings.out} is not a folder")
    store = open_store(tracking_uri(settings.tracking_uri), settings.experiment)
    if settings.register is not None:
        # torch, which the recipe alone does not need
        from analysis.models.registry import check, serve_command

        check(store, settings.register)
    for rank, run in _chosen(settings, store):
        recipe = recipe_of(store, run)
        path = _write(recipe, settings.out, rank=rank)
        if settings.register is not None or settings.format:
            _keep_model(settings, store, recipe, path)
    if settings.register is not None:
        console.print(f"serve the champion: {serve_command(store, settings.register)}")
    return 0


def _chosen(settings: ExportSettings, store: Store) -> Iterator[tuple[int, Run]]:
    """Trials to export, each with its rank in its sweep."""
    if settings.run:
        yield 1, _trial(store, settings.run)
        return
    sweeps = sweeps_named(store, name=settings.sweep, space=settings.space)
    for sweep in sweeps if settings.sweep else sweeps[:1]:
        yield from enumerate(complete_trials(store, sweep)[: settings.top], start=1)


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


def _write(recipe: Recipe, out: Path, *, rank: int) -> Path:
    """Write the recipe and say so; returns the file."""
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
    return path


def _keep_model(settings: ExportSettings, store: Store, recipe: Recipe, path: Path) -> None:
    """Train the recipe; write the model to files beside it and register it, as asked."""
    from analysis.models import (
        registry,
        trained,  # torch again
    )

    name = settings.register
    champion = None if name is None else registry.open_champion(store, name)
    model = trained.train(recipe, data_dir=settings.data_dir)
    trained.write_files(model, settings.format, path.with_suffix(""))
    if name is not None:
        console.print(registry.register(store, name, model, champion))


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
