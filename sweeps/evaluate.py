"""Measure an exported configuration: `python sweeps/evaluate.py FILE --rounds 10`."""

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import tyro

from foldsweep import names as metrics
from foldsweep.programs import (
    INTERRUPTED,
    EpochLine,
    console,
    parse,
    require_at_least,
    run_program,
)
from search_spaces.loading import load_variant
from sweeps.measured import MeasureSettings, log_measured, logged_where, repeated_pairs
from sweeps.mistakes import evaluation
from sweeps.provenance import machine, versions
from sweeps.rounds import Scores, round_cohort
from sweeps.settings import check_name
from trainables.data.folds import stratified_folds
from trainables.data.images import load_images
from trainables.data.pairs import PairData
from trainables.data.source import Source
from trainables.recipe import Recipe
from trainables.seeds import Stream, derive_seed
from trainables.trial import CrossValidation, Task, summary
from trainables.variants import Variant


@dataclass(frozen=True, kw_only=True)
class EvaluateSettings(MeasureSettings):
    """Retrain an exported configuration on all training pairs and measure it on test pairs."""

    file: Annotated[Path, tyro.conf.Positional]
    """File that analysis/export.py wrote."""
    rounds: int = 10
    """Trainings, each with its own initialisation."""
    cv: bool = False
    """Repeat the sweep's cross-validation instead and compare with the file's score."""


def main() -> int:
    """Evaluate what the command line asks for; returns the exit code."""
    settings = parse(EvaluateSettings, sys.argv[1:], prog="sweeps/evaluate.py")
    require_at_least(1, settings, "rounds")
    settings.check_seed()
    recipe = Recipe.load(settings.file)
    for part in recipe.sweep.split("/", 1):
        check_name(part)
    if recipe.space.endswith(".py"):
        console.print(f"variant {recipe.variant} is the code in {recipe.space}")
    variant = load_variant(recipe.space, recipe.variant)
    variant.config.from_dict(recipe.config)
    source, said = load_images(recipe.dataset, data_dir=settings.data_dir)
    console.print(said)
    try:
        return (_cross_validate if settings.cv else _measure)(settings, recipe, variant, source)
    except KeyboardInterrupt:
        console.print("interrupted: all is logged together at the end; run the same command again")
        return INTERRUPTED


def _cross_validate(
    settings: EvaluateSettings, recipe: Recipe, variant: Variant, source: Source
) -> int:
    """Train the trial again, as it was, and compare."""
    data = recipe.draw_pairs(source)
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
    shown = EpochLine(config.epochs)
    trial.advance(config.epochs, after_epoch=lambda: shown.done(trial.stack.epoch))
    score = summary(trial.by_fold)
    # a file of an earlier version does not have all metrics of today
    equal = {name: trial.by_fold.get(name) for name in recipe.fold_scores} == recipe.fold_scores
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
    seeds = [derive_seed(seed, Stream.ROUND_PAIRS, i) for i in range(settings.rounds)]
    data, fresh = repeated_pairs(recipe, source, seeds, settings.data)
    config = variant.config.from_dict(recipe.config)
    torch.set_num_threads(recipe.threads)  # small networks gain nothing from more
    console.print(
        f"{variant.name}, {settings.rounds} rounds of {config.epochs} epochs on"
        f" {len(data[0].train)} {'fresh' if fresh else 'same'} {recipe.dataset} pairs"
    )
    started = time.time()
    shown = EpochLine(config.epochs)
    cohort = round_cohort(config, data, seed=seed)
    of_digits = recipe.dataset != "disc"
    scores = cohort.train(
        variant,
        mode=recipe.mode,  # type: ignore[arg-type]
        device="cuda" if torch.cuda.is_available() else "cpu",
        keep_first=of_digits,
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
    texts = {}
    if of_digits:
        texts[metrics.EVALUATION_FILE] = json.dumps(evaluation(cohort, scores)) + "\n"
    waiting, uri = _log(settings, recipe, variant, scores, data[0], fresh, seed, started, texts)
    console.print(logged_where(recipe, settings.storage, waiting, uri))
    return 0


def _log(
    settings: EvaluateSettings,
    recipe: Recipe,
    variant: Variant,
    scores: Scores,
    data: PairData,
    fresh: bool,
    seed: int,
    started: float,
    texts: Mapping[str, str],
) -> tuple[int, str]:
    """Log beside the sweep; how many records wait for MLflow, and where that is."""
    by_name = {
        metrics.TEST_ACCURACY: scores.accuracy,
        metrics.TEST_LOSS: scores.loss,
        metrics.TRAIN_ACCURACY: scores.train_accuracy,
        metrics.TRAIN_LOSS: scores.train_loss,
    }
    if variant.auxiliary:
        by_name[metrics.TEST_DIGIT_ACCURACY] = scores.digit_accuracy
    return log_measured(
        recipe,
        by_name,
        kind="evaluation",
        tags={
            metrics.TAG_DATA_DIGEST: "fresh in each round" if fresh else recipe.data_digest,
            metrics.TAG_SEED: str(seed),
        },
        params={"rounds": settings.rounds, "data": "fresh" if fresh else "same"},
        values={"evaluation_time_s": time.time() - started},
        data=data,
        files=[settings.file],
        texts=texts,
        storage=settings.storage,
        experiment=settings.experiment,
        uri=settings.tracking_uri,
    )


if __name__ == "__main__":
    run_program(main)
