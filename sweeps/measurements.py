"""Measurements of exported configurations: their data, and logging beside their sweep."""

import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryFile
from typing import Literal

import numpy as np
import optuna

from foldsweep import names
from foldsweep.checks import require_local
from foldsweep.errors import UserError
from foldsweep.files import write_whole
from foldsweep.programs import command, console, require_at_least
from foldsweep.recipe import Recipe
from foldsweep.texts import text
from foldsweep.tracking import (
    absolute_uri,
    check_store,
    default_experiment,
    shown,
    tracking_uri,
)
from search_spaces.recipes import variant_of
from sweeps.provenance import git_commit, machine, versions
from sweeps.records import dataset_record
from sweeps.settings import check_name
from sweeps.study import JOURNAL_FILE, open_storage
from sweeps.sweep import CLOSE_WAIT_S
from sweeps.tracking.spool import TrackingTarget
from sweeps.tracking.tracker import Tracker
from trainables.tasks.reload import data_of, fresh_data
from trainables.tasks.samples import Data
from trainables.tasks.task import Task, Variant

FRESHNESS = ("auto", "fresh", "same")


@dataclass(frozen=True, kw_only=True)
class MeasureSettings:
    """Settings shared by the programs that retrain and measure exported configurations."""

    data: str = "auto"
    """Data of each repeat: `fresh` rows, drawn with another seed, or the `same` rows as the sweep
    [fresh where the task draws its data]. Or the path of your own data file, which is otherwise
    looked for beside the exported file."""
    seed: int | None = None
    """Seed of the repeats [the sweep's]."""
    data_dir: Path | None = None
    """Folder of the MNIST files [FOLDSWEEP_DATA, else a cache folder of the user]."""
    storage: Path = Path("runs")
    """Folder of sweeps, which keeps records until MLflow has them."""
    concurrency: int | None = None
    """Processes that train at a time [as many as CPUs or GPUs allow]; does not affect results."""
    experiment: str | None = None
    """MLflow experiment [MLFLOW_EXPERIMENT_NAME, else foldsweep]."""
    tracking_uri: str | None = None
    """MLflow server or store [MLFLOW_TRACKING_URI, else mlflow.db in this folder]."""
    trust: bool = False
    """Use the MLflow store, the experiment and the code that the exported files name, wherever
    they are; do not set it for files from other people."""

    def check(self) -> None:
        """Check that there is at least one process, the seed is valid, and the storage is local.

        Raises:
            UserError: If a setting is invalid.
        """
        require_at_least(1, self, "concurrency")
        if self.seed is not None and not 0 <= self.seed < 2**32:
            raise UserError.of("measurements.seed-out-of-range", seed=self.seed)
        require_local(self.storage)


def opened(path: Path, *, trust: bool = False) -> tuple[Recipe, Variant]:
    """Load a recipe and its variant, and check its configuration.

    Args:
        path: File of the recipe.
        trust: Whether to execute code that the recipe names without a digest, even outside the
            current folder and the recipe's folder.

    Raises:
        UserError: If the file, its sweep's name, its variant or its configuration is invalid, or
            its code is not trusted.
    """
    recipe = Recipe.load(path)
    for part in recipe.sweep.split("/", 1):
        check_name(part)
    if not recipe.space.endswith(".py"):
        variant = variant_of(recipe)
    else:
        file = Path(recipe.space)
        if not file.is_absolute() and not file.is_file() and (path.parent / file).is_file():
            file = path.parent / file
        file = file.absolute() if recipe.file_digest else file
        if not (recipe.file_digest or trust or _is_near(file, path)):
            raise UserError.of("measurements.code-without-digest", path=path, file=file)
        console.print(text("measurements.code", variant=recipe.variant, file=file))
        variant = variant_of(recipe, file)
    variant.config.from_dict(recipe.config)
    return recipe, variant


def _is_near(file: Path, recipe: Path) -> bool:
    """Whether a file is in or below the current folder or the recipe's folder."""
    near = Path.cwd().resolve(), recipe.parent.resolve()
    return any(file.resolve().is_relative_to(folder) for folder in near)


def repeated_data(
    recipe: Recipe, task: Task, seeds: Sequence[int], settings: MeasureSettings, beside: Path
) -> tuple[list[Data], bool]:
    """Return the data of each repeat, and whether it is fresh; else all have the sweep's.

    Args:
        recipe: The recipe.
        task: Its task.
        seeds: Seed of each repeat.
        settings: Settings from the command line.
        beside: Folder of the recipe.

    Raises:
        UserError: If the sweep's data is not available, or the task has no fresh rows.
    """
    path = None if settings.data in FRESHNESS else Path(settings.data)
    if path is not None and not path.is_file():
        raise UserError.of("measurements.data-unknown", path=path, known=", ".join(FRESHNESS))
    own = data_of(recipe, task, data_dir=settings.data_dir, path=path, beside=beside)
    console.print(own.headline)
    draws = not isinstance(task.data, Data) and task.options is not None
    if settings.data == "fresh" and not draws:
        raise UserError.of("measurements.no-fresh-rows", task=task.name, data=own.name)
    if settings.data == "fresh" or (settings.data == "auto" and task.fresh(own)):
        folder = settings.data_dir
        return [fresh_data(recipe, task, seed, data_dir=folder) for seed in seeds], True
    return [own] * len(seeds), False


def store_of(recipe: Recipe, settings: MeasureSettings) -> tuple[str, str]:
    """Absolute tracking URI and experiment that a recipe's measurements are logged to.

    A recipe may come from another person, so the URI and the experiment that it names are used
    only with `trust`.
    """
    known = recipe.mlflow if settings.trust else {}
    recorded = known.get("tracking_uri", "")
    # a URI with a password was exported with it masked, so the user must give the URI again
    uri = tracking_uri(settings.tracking_uri or (None if "***" in recorded else recorded))
    return uri, settings.experiment or known.get("experiment", default_experiment())


def check_logging(recipes: Sequence[Recipe], settings: MeasureSettings) -> None:
    """Print where measurements will be logged, and check before any training that they can be.

    Raises:
        UserError: If MLflow's store cannot accept records, or the folder is not writable.
    """
    said = []
    for recipe in recipes:
        uri, experiment = store_of(recipe, settings)
        check_store(uri)
        _target(recipe, settings, recipe.sweep)  # checks the UUID
        said.append(text("measurements.go-to", uri=shown(uri), experiment=experiment))
        theirs = absolute_uri(recipe.mlflow.get("tracking_uri") or uri)
        experiments = recipe.mlflow.get("experiment", experiment)
        if settings.trust or (theirs, experiments) == (shown(uri), experiment):
            continue
        elsewhere = text(
            "measurements.elsewhere",
            sweep=recipe.sweep,
            uri=shown(theirs),
            experiment=experiments,
        )
        said.append(elsewhere)
    for line in dict.fromkeys(said):
        console.print(line)
    folder = next(
        f for f in (settings.storage, *settings.storage.absolute().parents) if f.exists()
    )
    for sweep in dict.fromkeys(recipe.sweep.partition("/")[0] for recipe in recipes):
        own = settings.storage / sweep
        try:
            with TemporaryFile(dir=own if own.exists() else folder):
                pass
        except OSError as error:
            raise UserError.of(
                "measurements.folder-unwritable", folder=own, why=error.strerror
            ) from None


def _target(recipe: Recipe, settings: MeasureSettings, key: str) -> TrackingTarget:
    """Tracking target of a measurement; `key` is its name as a sweep and as a study."""
    uri, experiment = store_of(recipe, settings)
    return TrackingTarget(
        tracking_uri=uri,
        experiment=experiment,
        sweep=key,
        uuid=recipe.mlflow.get("sweep_uuid", ""),
        study_storage=JOURNAL_FILE,
        study_name=key,
    )


def log_measured(
    recipe: Recipe,
    scores: Mapping[str, Sequence[float] | np.ndarray],
    *,
    kind: Literal["evaluation", "ensemble", "finals"],
    tags: Mapping[str, str],
    params: Mapping[str, object],
    values: Mapping[str, float],
    data: Data,
    files: Sequence[Path],
    texts: Mapping[str, str] | None = None,
    settings: MeasureSettings,
) -> str:
    """Log a measurement through its own spool, in a folder below the sweep's.

    Args:
        recipe: Recipe that was measured.
        scores: Values of each metric by round, or by fold for `finals`; logged one by one, with
            mean and sample standard deviation.
        kind: Kind of measurement.
        tags: Tags in addition to those from the recipe.
        params: Parameters of the measurement in addition to the configuration.
        values: Further metrics.
        data: Data of the first round.
        files: Small files to attach.
        texts: Texts to attach, by name of the file.
        settings: Where to log.

    Returns:
        A line that says where it was logged, and what to do if records wait for MLflow.

    Raises:
        UserError: If the folder cannot be written.
    """
    sweep_name, _, space = recipe.sweep.partition("/")
    check_name(sweep_name)
    check_name(space)
    # random, since machines that share a store may have equal times and process ids
    stamp = f"{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(4)}-{recipe.trial}"
    folder = settings.storage / sweep_name / f"{kind}-{space}-{stamp}"
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise UserError.of(
            "measurements.folder-unwritable", folder=folder, why=error.strerror
        ) from None
    key = f"{recipe.sweep}/{kind}-{stamp}"
    optuna.create_study(storage=open_storage(None, folder / JOURNAL_FILE), study_name=key)
    target = _target(recipe, settings, key)
    all_tags = {
        names.TAG_KIND: kind,
        names.TAG_SWEEP: recipe.sweep,
        names.TAG_TRIAL: str(recipe.trial),
        names.TAG_SPACE: space,
        names.TAG_TASK: recipe.task,
        names.TAG_VARIANT: recipe.variant,
        names.TAG_DATASET: recipe.dataset,
        names.TAG_GIT_COMMIT: git_commit(),
        names.TAG_MACHINE: machine(),
        **{f"{names.TAG_VERSION}{library}": v for library, v in versions().items()},
        **tags,
    }
    parent = recipe.mlflow.get("sweep_run_id")
    if parent and target.shown_uri == absolute_uri(recipe.mlflow.get("tracking_uri", "")):
        all_tags["mlflow.parentRunId"] = parent
    part_key = names.fold_key if kind == "finals" else names.round_key
    found = dict(values)
    for name, parts in scores.items():
        found[name] = float(np.mean(parts))
        if len(parts) > 1:
            found[names.std_key(name)] = float(np.std(parts, ddof=1))
        found |= {part_key(i, name): float(value) for i, value in enumerate(parts)}
    tracker = Tracker(folder, target)
    try:
        tracker.start_sweep(
            f"{kind} {recipe.sweep}/{recipe.trial}",
            {**recipe.config, **params},
            all_tags,
            dataset_record(data),
        )
        tracker.log_metrics(None, found, step=recipe.config.get("epochs", 1))
        for path in files:
            tracker.log_artifact(None, path)
        for name, content in (texts or {}).items():  # in the folder, to wait for MLflow
            write_whole(folder / name, content)
            tracker.log_artifact(None, folder / name)
        tracker.end_sweep("FINISHED")
    finally:
        waiting = tracker.close(CLOSE_WAIT_S)
    uri = target.shown_uri
    if waiting:
        again = command("sweeps/replay.py", sweep_name, "--storage", str(settings.storage))
        return text("measurements.records-wait", uri=uri, records=waiting, replay=again)
    if tracker.refused:
        return text("measurements.logged-in-part", uri=uri, items=tracker.refused)
    shutil.rmtree(folder, ignore_errors=True)
    return text("measurements.logged", uri=uri)
