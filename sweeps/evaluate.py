"""Measure an exported configuration: `python sweeps/evaluate.py FILE --rounds 10`."""

import os
import shutil
import sys
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import optuna
import torch
import tyro

from search_spaces.loading import load_space
from sweeps.ledger import open_storage
from sweeps.provenance import git_commit, machine, versions
from sweeps.rounds import Scores, round_cohort
from sweeps.settings import check_name
from sweeps.spool import TrackingTarget
from sweeps.sweep import CLOSE_WAIT_S, JOURNAL_FILE, dataset_record
from sweeps.tracker import Tracker
from trainables import metrics
from trainables.data.folds import stratified_folds
from trainables.data.images import load_images
from trainables.data.pairs import PairData, draw_pairs
from trainables.data.source import Source
from trainables.errors import UserError
from trainables.programs import INTERRUPTED, command, console, parse, run_program
from trainables.recipe import Recipe
from trainables.seeds import Stream, derive_seed
from trainables.tracking import shown, tracking_uri
from trainables.trial import CrossValidation, Task, summary
from trainables.variants import VARIANTS, Variant

PLAIN_EVERY_S = 10.0


@dataclass(frozen=True, kw_only=True)
class EvaluateSettings:
    """Retrain an exported configuration on all training pairs and measure it on test pairs."""

    file: Annotated[Path, tyro.conf.Positional]
    """File that analysis/export.py wrote."""
    rounds: int = 10
    """Trainings, each with its own initialisation."""
    data: Literal["auto", "fresh", "same"] = "auto"
    """Pairs of each round: drawn afresh, or those of the sweep [fresh for mnist, same for digits,
    which has no more images]."""
    cv: bool = False
    """Repeat the sweep's cross-validation instead and compare with the file's score."""
    seed: int | None = None
    """Seed of the rounds [the sweep's]."""
    data_dir: Path | None = None
    """Folder of the MNIST files [FOLDSWEEP_DATA, else a cache folder of the user]."""
    storage: Path = Path("runs")
    """Folder of sweeps, for the records on their way to MLflow."""
    experiment: str | None = None
    """MLflow experiment [that of the sweep]."""
    tracking_uri: str | None = None
    """MLflow server or store [that of the sweep]."""


def main() -> int:
    """Evaluate what the command line asks for; returns the exit code."""
    settings = parse(EvaluateSettings, sys.argv[1:], prog="sweeps/evaluate.py")
    if settings.rounds < 1:
        raise UserError(f"--rounds must be at least 1, but is {settings.rounds}")
    if settings.seed is not None and not 0 <= settings.seed < 2**32:
        raise UserError(f"--seed must be between 0 and 2**32 - 1, but is {settings.seed}")
    recipe = Recipe.load(settings.file)
    for part in recipe.sweep.split("/", 1):
        check_name(part)
    variant = _variant(recipe)
    variant.config.from_dict(recipe.config)
    source, said = load_images(recipe.dataset, data_dir=settings.data_dir)
    console.print(said)
    try:
        return (_cross_validate if settings.cv else _measure)(settings, recipe, variant, source)
    except KeyboardInterrupt:
        console.print("interrupted: all is logged together at the end; run the same command again")
        return INTERRUPTED


def _variant(recipe: Recipe) -> Variant:
    if not recipe.space.endswith(".py"):
        if recipe.variant not in VARIANTS:
            raise UserError(f"unknown variant {recipe.variant!r}: known are {', '.join(VARIANTS)}")
        return VARIANTS[recipe.variant]
    console.print(f"variant {recipe.variant} is the code in {recipe.space}")
    variant = load_space(recipe.space).trainable.variant
    if variant.name != recipe.variant:
        raise UserError(f"{recipe.space} has variant {variant.name!r}, not {recipe.variant!r}")
    return variant


def _sweep_pairs(recipe: Recipe, source: Source) -> PairData:
    """The pairs of the sweep, proven by their digest."""
    data = draw_pairs(
        source,
        seed=recipe.seed,
        train_pairs=recipe.train_pairs,
        test_pairs=recipe.test_pairs,
    )
    if data.digest != recipe.data_digest:
        raise UserError(
            f"these pairs are not the sweep's: their digest is {data.digest},"
            f" the file has {recipe.data_digest}; is the {recipe.dataset} data the same?"
        )
    return data


def _cross_validate(
    settings: EvaluateSettings, recipe: Recipe, variant: Variant, source: Source
) -> int:
    """Train the trial again, as it was, and compare."""
    data = _sweep_pairs(recipe, source)
    config = variant.config.from_dict(recipe.config)
    torch.set_num_threads(recipe.threads)
    task = Task(
        data=data,
        folds=stratified_folds(data.train.target, num_folds=recipe.folds, seed=recipe.seed),
        seed=recipe.seed,
        threads=recipe.threads,
        device=recipe.device if torch.cuda.is_available() else "cpu",
        mode=recipe.mode,  # type: ignore[arg-type]
    )
    trial = CrossValidation(variant, config, task, recipe.trial)
    shown = _Epochs(config.epochs)
    trial.advance(config.epochs, after_epoch=lambda: shown.done(trial.stack.epoch))
    score = summary(trial.by_fold)
    equal = trial.by_fold == recipe.fold_scores
    for name in (metrics.VAL_ACCURACY, metrics.VAL_LOSS):
        std = metrics.std_key(name)
        console.print(
            f"{name}: {score[name]:.6f} ± {score[std]:.6f} over {recipe.folds} folds;"
            f" the file has {recipe.score[name]:.6f} ± {recipe.score[std]:.6f}"
        )
    if equal:
        console.print("equal in every fold and metric, to the last bit")
        return 0
    changed = {k: v for k, v in versions().items() if recipe.versions.get(k) != v}
    console.print(
        f"not equal to the last bit: recorded on {recipe.machine}, run on {machine()};"
        f" versions that differ: {changed or 'none'}"
    )
    off = abs(score[metrics.VAL_ACCURACY] - recipe.score[metrics.VAL_ACCURACY])
    return 0 if off <= recipe.score[metrics.std_key(metrics.VAL_ACCURACY)] else 1


def _measure(settings: EvaluateSettings, recipe: Recipe, variant: Variant, source: Source) -> int:
    """Train the rounds, say what they came to, and log it beside the sweep."""
    seed = recipe.seed if settings.seed is None else settings.seed
    fresh = settings.data == "fresh" or (
        settings.data == "auto" and recipe.dataset in ("mnist", "disc")
    )
    sweep_pairs = _sweep_pairs(recipe, source)
    data = [sweep_pairs] * settings.rounds
    if fresh:
        data = [
            draw_pairs(
                source,
                seed=derive_seed(seed, Stream.ROUND_PAIRS, i),
                train_pairs=recipe.train_pairs,
                test_pairs=recipe.test_pairs,
            )
            for i in range(settings.rounds)
        ]
    config = variant.config.from_dict(recipe.config)
    torch.set_num_threads(os.cpu_count() or 1)
    console.print(
        f"{variant.name}, {settings.rounds} rounds of {config.epochs} epochs on"
        f" {len(data[0].train)} {'fresh' if fresh else 'same'} {recipe.dataset} pairs"
    )
    started = time.time()
    shown = _Epochs(config.epochs)
    scores = round_cohort(config, data, seed=seed).train(
        variant,
        mode=recipe.mode,  # type: ignore[arg-type]
        device="cuda" if torch.cuda.is_available() else "cpu",
        after_epoch=shown.done,
    )
    accuracy = scores.accuracy
    spread = " (one round: no spread)"
    if len(accuracy) > 1:
        std = float(accuracy.std(ddof=1))
        error = std / len(accuracy) ** 0.5
        spread = f" ± {std:.4f} (std over {len(accuracy)} rounds, standard error {error:.4f})"
    cv_std = recipe.score[metrics.std_key(metrics.VAL_ACCURACY)]
    console.print(
        f"test accuracy {accuracy.mean():.4f}{spread}, {len(data[0].test)} test pairs each\n"
        f"cross-validated in the sweep: {recipe.score[metrics.VAL_ACCURACY]:.4f} ± {cv_std:.4f}"
    )
    waiting, uri = _log(settings, recipe, variant, scores, data[0], fresh, seed, started)
    if waiting:
        console.print(
            f"MLflow at {uri} took not everything: {waiting} records wait;"
            f" send them with: {_replay(settings, recipe)}"
        )
    else:
        console.print(f"logged to MLflow at {uri}")
    return 0


def _replay(settings: EvaluateSettings, recipe: Recipe) -> str:
    name = recipe.sweep.partition("/")[0]
    return command("sweeps/replay.py", name, "--storage", str(settings.storage))


def _log(
    settings: EvaluateSettings,
    recipe: Recipe,
    variant: Variant,
    scores: Scores,
    data: PairData,
    fresh: bool,
    seed: int,
    started: float,
) -> tuple[int, str]:
    """Log through a spool of its own below the sweep's folder; how many records wait there."""
    sweep_name, _, space = recipe.sweep.partition("/")
    check_name(sweep_name)
    check_name(space)
    stamp = f"{datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}"
    folder = settings.storage / sweep_name / f"evaluation-{space}-{stamp}"
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise UserError(f"folder {folder} cannot be written: {error.strerror}") from None
    key = f"{recipe.sweep}/evaluation-{stamp}"
    optuna.create_study(storage=open_storage(None, folder / JOURNAL_FILE), study_name=key)
    recorded = recipe.mlflow.get("tracking_uri", "")
    # an address with a password was exported without it, and must be given again
    uri = tracking_uri(settings.tracking_uri or (None if "***" in recorded else recorded))
    target = TrackingTarget(
        tracking_uri=uri,
        experiment=settings.experiment or recipe.mlflow.get("experiment", "foldsweep"),
        sweep=key,
        study_storage=JOURNAL_FILE,
        study_name=key,
    )
    tags = {
        metrics.TAG_KIND: "evaluation",
        metrics.TAG_SWEEP: recipe.sweep,
        metrics.TAG_TRIAL: str(recipe.trial),
        metrics.TAG_SPACE: space,
        metrics.TAG_VARIANT: variant.name,
        metrics.TAG_DATASET: recipe.dataset,
        metrics.TAG_DATA_DIGEST: "fresh in each round" if fresh else recipe.data_digest,
        metrics.TAG_SEED: str(seed),
        metrics.TAG_GIT_COMMIT: git_commit(),
        metrics.TAG_MACHINE: machine(),
        **{f"{metrics.TAG_VERSION}{library}": v for library, v in versions().items()},
    }
    parent = recipe.mlflow.get("sweep_run_id")
    if parent and shown(uri) == recorded:
        tags["mlflow.parentRunId"] = parent
    params = {**recipe.config, "rounds": settings.rounds, "data": "fresh" if fresh else "same"}
    found: dict[str, float] = {"evaluation_time_s": time.time() - started}
    by_name = {
        metrics.TEST_ACCURACY: scores.accuracy,
        metrics.TEST_LOSS: scores.loss,
        metrics.TRAIN_ACCURACY: scores.train_accuracy,
        metrics.TRAIN_LOSS: scores.train_loss,
    }
    if variant.auxiliary:
        by_name[metrics.TEST_DIGIT_ACCURACY] = scores.digit_accuracy
    for name, values in by_name.items():
        found[name] = float(np.mean(values))
        if len(values) > 1:
            found[metrics.std_key(name)] = float(np.std(values, ddof=1))
        found |= {metrics.round_key(i, name): float(v) for i, v in enumerate(values)}
    tracker = Tracker(folder, target)
    try:
        tracker.start_sweep(
            f"evaluate {recipe.sweep}/{recipe.trial}", params, tags, dataset_record(data)
        )
        tracker.log_metrics(None, found, step=recipe.config["epochs"])
        tracker.log_artifact(None, settings.file)
        tracker.end_sweep("FINISHED")
    finally:
        waiting = tracker.close(CLOSE_WAIT_S)
    if not waiting:
        shutil.rmtree(folder, ignore_errors=True)
    return waiting, target.shown_uri


class _Epochs:
    """Says how far the training is and how long it will take; on a terminal in one line."""

    def __init__(self, epochs: int):
        self.epochs = epochs
        self.started = self.said = time.monotonic()

    def done(self, epoch: int) -> None:
        """Take note of an epoch."""
        now = time.monotonic()
        left = (now - self.started) / epoch * (self.epochs - epoch)
        line = f"epoch {epoch}/{self.epochs}, about {left:.0f} s left"
        if console.is_terminal:
            console.print(f"\r{line} ", end="\n" if epoch == self.epochs else "")
        elif now - self.said >= PLAIN_EVERY_S:
            console.print(line)
            self.said = now


if __name__ == "__main__":
    run_program(main)
