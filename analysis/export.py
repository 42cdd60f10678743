"""Export of the best configurations: `python analysis/export.py --space mlp`."""

if __name__ == "__main__":
    import foldsweep.early  # noqa: F401

import hashlib
import re
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from analysis.load import (
    Store,
    complete_trials,
    config_of,
    json_artifact,
    objective_keys,
    open_store,
    sweep_uuid,
    sweeps_named,
    what_is_wrong,
)
from analysis.results import load_sweeps
from analysis.selection import Rule, check_rope
from foldsweep import names
from foldsweep.errors import UserError
from foldsweep.numbers import shown_score
from foldsweep.programs import command, console, parse, require_at_least, run_program
from foldsweep.recipe import Mode, ModelFormat, Recipe
from foldsweep.texts import text
from foldsweep.tracking import (
    default_experiment,
    portable_uri,
    shown,
    store_options,
    tracking_uri,
)

_FOLD = re.compile(names.fold_key(0, "").replace("0", r"(\d+)") + "(.+)")
"""Pattern of the key of a fold's metric: number of the fold, name of the metric."""


@dataclass(frozen=True, kw_only=True)
class ExportSettings:
    """Write a sweep's best configurations to small YAML files, which evaluate.py measures again.

    With --register, --keep or --format, each is also trained on all training rows.
    """

    space: str | None = None
    """Export from the latest sweep of this space."""
    sweep: str | None = None
    """Export from each space of the sweep of this name, or from one as NAME/SPACE."""
    run: str | None = None
    """Export the trial with this MLflow run id."""
    top: int = 1
    """Number of best trials to export from each sweep."""
    choose: Rule = "best"
    """Rule that chooses a trial of a sweep: the best mean, the smallest within one standard error
    of the best, or the smallest that is shown to be equivalent to the best."""
    rope: float | None = None
    """With equivalent-smallest: scores closer than this are equivalent [the task's value]."""
    out: Path = Path()
    """Folder to write to."""
    register: str | None = None
    """Register the trained model in MLflow under this name; it becomes the champion if it is
    significantly better than the present champion on the same test rows."""
    keep: Path | None = None
    """Write the trained model to this folder, from which analysis/predict.py predicts."""
    ensemble: bool = False
    """Train an ensemble: the models of the trial's folds, whose predictions are averaged, instead
    of one model on all training rows."""
    format: tuple[ModelFormat, ...] = ()
    """Write the trained model to stand-alone files: torchscript, onnx or pt2 for networks, skops
    for estimators."""
    data: Path | None = None
    """Your own data file, if the sweep used one [the file of that name in --out]."""
    data_dir: Path | None = None
    """Folder of the MNIST files [FOLDSWEEP_DATA, else a cache folder of the user]."""
    experiment: str = field(default_factory=default_experiment)
    """MLflow experiment [MLFLOW_EXPERIMENT_NAME, else foldsweep]."""
    tracking_uri: str | None = None
    """MLflow server or store [MLFLOW_TRACKING_URI, else mlflow.db in this folder]."""

    @property
    def trains(self) -> bool:
        """Whether models are trained, besides the recipes that are written."""
        return self.register is not None or self.keep is not None or bool(self.format)


def main() -> int:
    """Run the program; return its exit code."""
    settings = parse(ExportSettings, sys.argv[1:], prog="analysis/export.py")
    _check(settings)
    store = open_store(tracking_uri(settings.tracking_uri), settings.experiment)
    if settings.register is not None:
        # imports torch, which recipes alone do not need
        from analysis.models.registry import check, serve_command

        check(store, settings.register)
    chosen = list(_chosen(settings, store))
    if settings.keep is not None and len(chosen) > 1:
        raise UserError.of("export.keep-several-models", models=len(chosen))
    recipes = _recipes(store, chosen)
    if settings.format:
        from analysis.models.trained import check_formats  # imports torch

        for _, recipe in recipes:
            check_formats(recipe, settings.format, ensemble=settings.ensemble)
    for rank, recipe in recipes:
        path = _write(recipe, settings, rank=rank)
        if settings.trains:
            _train(settings, store, recipe, path)
    if settings.register is not None:
        where = store_options(store.tracking_uri, default_experiment())
        ask = command("analysis/predict.py", settings.register, "NEW.csv", *where)
        console.print(text("export.ask-champion", command=ask))
        serve = serve_command(store, settings.register)
        console.print(text("export.serve-champion", command=serve))
    return 0


def _check(settings: ExportSettings) -> None:
    """Refuse options that are invalid or contradict each other.

    Raises:
        UserError: At the first such option.
    """
    require_at_least(1, settings, "top")
    if not (settings.space or settings.sweep or settings.run):
        raise UserError.of("export.nothing-named")
    check_rope(settings.rope)
    if settings.ensemble and not settings.trains:
        raise UserError.of("export.ensemble-without-model")
    if settings.choose != "best" and (settings.run or settings.top > 1):
        raise UserError.of("export.rule-with-run-or-top", rule=settings.choose)
    if settings.run and (settings.space or settings.sweep):
        raise UserError.of("export.run-with-space-or-sweep")
    if not settings.out.is_dir():
        raise UserError.of("export.out-not-a-folder", path=settings.out)
    if settings.data is not None and not settings.data.is_file():
        raise UserError.of("export.data-missing", path=settings.data)
    if settings.keep is not None:
        from analysis.models.keeping import check_folder  # imports torch

        check_folder(settings.keep)


def _chosen(settings: ExportSettings, store: Store) -> Iterator[tuple[int, Run]]:
    """Yield the trials to export, each with its rank in its sweep, from 1."""
    if settings.run:
        yield 1, _trial(store, settings.run)
        return
    sweeps = sweeps_named(store, name=settings.sweep, space=settings.space)
    for sweep in sweeps if settings.sweep else sweeps[:1]:
        if settings.choose == "best":
            yield from enumerate(complete_trials(store, sweep)[: settings.top], start=1)
        else:
            yield 1, _by_rule(settings, store, sweep)


def _by_rule(settings: ExportSettings, store: Store, name: str) -> Run:
    """The trial of a sweep that a rule chooses; prints the reason.

    Raises:
        UserError: If there is no complete trial.
    """
    from analysis.choice import choose  # imports scipy, which the rule `best` does not need

    (sweep,) = load_sweeps(store, sweeps=[name])
    if not sweep.complete:
        raise UserError.of("load.no-complete-trial", sweep=name)
    trial, why = choose(sweep, settings.choose, rope=settings.rope)
    console.print(text("export.chosen", sweep=name, rule=settings.choose, why=why))
    return store.client.get_run(trial.run_id)


def _recipes(store: Store, chosen: Sequence[tuple[int, Run]]) -> list[tuple[int, Recipe]]:
    """Recipes of all trials that can be exported; a line on stderr names each other trial.

    Raises:
        UserError: If no trial can be exported.
    """
    recipes, errors = [], []
    for rank, run in chosen:
        try:
            recipes.append((rank, recipe_of(store, run)))
        except UserError as error:
            errors.append(error)
    if errors and not recipes:
        raise errors[0]
    for left_out in errors:
        print(text("export.left-out", why=left_out), file=sys.stderr)
    return recipes


def recipe_of(store: Store, run: Run) -> Recipe:
    """The recipe of a trial, with which it can be repeated.

    Raises:
        UserError: If the run is not a complete trial, was selected on test rows, or cannot be
            read, or if its sweep has no record of its task.
    """
    tags = run.data.tags
    if tags.get(names.TAG_STATE) != "COMPLETE":
        raise UserError.of("export.run-not-complete", run=run.info.run_id)
    if tags.get(names.TAG_SELECTED_ON):
        raise UserError.of("export.selected-on-test-rows", run=run.info.run_id)
    try:
        return _recipe(store, run)
    except (LookupError, ValueError, TypeError) as error:
        raise UserError.of(
            "export.run-damaged", run=run.info.run_id, reason=what_is_wrong(error)
        ) from None


def _recipe(store: Store, run: Run) -> Recipe:
    tags, values = run.data.tags, run.data.metrics
    fold_scores = _fold_scores(values)
    score = {}
    for name in fold_scores:
        score[name] = values[name]
        score[names.std_key(name)] = values[names.std_key(name)]
    task = _task(store, run)
    return Recipe(
        space=_space(tags),
        variant=tags[names.TAG_VARIANT],
        task=tags[names.TAG_TASK],
        config=config_of(run),
        objective=_objective(store, run, task["record"], score),
        score=score,
        fold_scores=fold_scores,
        num_params=int(values.get(names.NUM_PARAMS, 0)),
        dataset=tags[names.TAG_DATASET],
        data_digest=tags[names.TAG_DATA_DIGEST],
        origin=task["origin"],
        record=task["record"],
        folds=int(tags[names.TAG_FOLDS]),
        seed=int(tags[names.TAG_SEED]),
        trial=int(tags[names.TAG_TRIAL]),
        threads=int(tags[names.TAG_THREADS]),
        device=tags[names.TAG_DEVICE],
        mode=cast(Mode, tags[names.TAG_MODE]),  # checked when the file is read
        sweep=tags[names.TAG_SWEEP],
        file_digest=tags.get(names.TAG_FILE_DIGEST, ""),
        mlflow={
            "tracking_uri": shown(portable_uri(store.tracking_uri)),
            "experiment": store.experiment,
            "run_id": run.info.run_id,
            "sweep_run_id": _sweep_run(run),
            **({"sweep_uuid": uuid} if (uuid := sweep_uuid(run)) else {}),
        },
        git_commit=tags[names.TAG_GIT_COMMIT],
        versions={
            key.removeprefix(names.TAG_VERSION): value
            for key, value in tags.items()
            if key.startswith(names.TAG_VERSION)
        },
        machine=tags[names.TAG_MACHINE],
        exported_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _space(tags: Mapping[str, str]) -> str:
    """Name of the space, or path of the user's file, relative to this folder if it is in it.

    The recorded path is absolute, and the folder of the sweep may have moved since: a file with
    the recorded digest in this folder is used instead.
    """
    file = tags.get(names.TAG_SPACE_FILE)
    if file is None:
        return tags[names.TAG_SPACE]
    parts = Path(file).parts
    for i in range(1, len(parts)):
        here = Path(*parts[i:])
        if here.is_file() and (
            here.resolve() == Path(file)
            or hashlib.sha256(here.read_bytes()).hexdigest() == tags.get(names.TAG_FILE_DIGEST)
        ):
            return str(here)
    return file


def _fold_scores(values: Mapping[str, float]) -> dict[str, list[float]]:
    """Values of each metric, in order of folds."""
    by_name: dict[str, dict[int, float]] = {}
    for key, value in values.items():
        if (found := _FOLD.fullmatch(key)) is not None:
            by_name.setdefault(found[2], {})[int(found[1])] = value
    return {name: [of[fold] for fold in sorted(of)] for name, of in by_name.items()}


def _sweep_run(run: Run) -> str:
    return str(run.data.tags.get("mlflow.parentRunId", ""))


def _task(store: Store, run: Run) -> dict[str, dict[str, Any]]:
    """Record and origin of the sweep's task.

    Raises:
        UserError: If the sweep has no such file, or the file is damaged.
    """
    task = json_artifact(store, _sweep_run(run), names.TASK_FILE) if _sweep_run(run) else None
    sweep = run.data.tags[names.TAG_SWEEP]
    if task is None:
        raise UserError.of("export.task-record-missing", sweep=sweep, file=names.TASK_FILE)
    parts = [task.get(part) for part in ("record", "origin")] if isinstance(task, dict) else []
    if not parts or not all(isinstance(part, dict) for part in parts):
        raise UserError.of("export.task-record-damaged", sweep=sweep, file=names.TASK_FILE)
    return task


def _objective(
    store: Store, run: Run, record: Mapping[str, Any], score: Mapping[str, float]
) -> str:
    """Name of the sweep's objective; the task's if the sweep's is no score, such as a size."""
    sweep = store.client.get_run(_sweep_run(run))
    key = objective_keys(sweep)[:1]
    if key and names.val_key(key[0]) in score:
        return names.bare(key[0])
    return str(record.get("objective", "accuracy"))


def _write(recipe: Recipe, settings: ExportSettings, *, rank: int) -> Path:
    """Write the recipe, print a line about it, and return the path of the file."""
    suffix = "" if rank == 1 else f"-{rank}"
    path = settings.out / f"{settings.choose}-{recipe.sweep.replace('/', '-')}{suffix}.yaml"
    measure = f"python sweeps/evaluate.py {shlex.quote(str(path))}"
    store = store_options(tracking_uri(settings.tracking_uri), settings.experiment)
    logged = f"\nTo log beside the sweep, add: {shlex.join(store)}" if store else ""
    data = _data_option(recipe, settings)
    recipe.save(
        path,
        comment=f"Trial {recipe.trial} of sweep {recipe.sweep}.\n"
        f"On test rows, over 10 rounds: {measure} --rounds 10{data}\n"
        f"To repeat the cross-validated score: {measure} --cv{data}{logged}",
    )
    key = recipe.objective_key
    score = shown_score(key, recipe.score[key], recipe.score[names.std_key(key)])
    console.print(
        text(
            "export.written",
            path=path,
            trial=recipe.trial,
            sweep=recipe.sweep,
            metric=key,
            score=score,
            data=recipe.dataset,
        )
    )
    return path


def _data_option(recipe: Recipe, settings: ExportSettings) -> str:
    """Option that names the user's data file; empty if it is beside the recipe or not needed."""
    if recipe.origin.get("sha256") is None:
        return ""
    name = str(recipe.origin.get("data"))
    path = Path(name) if settings.data is None else settings.data
    beside = (settings.out / name).is_file() and settings.data is None
    return "" if beside else f" --data {shlex.quote(str(path))}"


def _train(settings: ExportSettings, store: Store, recipe: Recipe, path: Path) -> None:
    """Train the recipe; write the model to files and register it, as the settings say."""
    from analysis.models import trained  # imports torch

    name, champion = settings.register, None
    if name is not None:
        from analysis.models import registry

        champion = registry.open_champion(store, name)
    places = trained.Places(data_dir=settings.data_dir, path=settings.data, beside=settings.out)
    model = trained.train(recipe, places, ensemble=settings.ensemble)
    trained.write_files(model, settings.format, path.with_suffix(""))
    if settings.keep is not None:
        from analysis.models.keeping import keep

        keep(model.model, settings.keep)
        ask = command("analysis/predict.py", str(settings.keep), "NEW.csv")
        console.print(text("export.kept", folder=settings.keep, command=ask))
    if name is not None:
        console.print(registry.register(store, name, model, champion))


def _trial(store: Store, run_id: str) -> Run:
    try:
        run = store.client.get_run(run_id)
    except MlflowException:
        raise UserError.of("export.id-unknown", uri=shown(store.tracking_uri), id=run_id) from None
    if run.data.tags.get(names.TAG_KIND) == "sweep":
        return complete_trials(store, run)[0]
    return run


if __name__ == "__main__":
    run_program(main)
