"""Cross-validate exported configurations again: `python sweeps/finalists.py best-*.yaml`."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import tyro

from foldsweep import names as metrics
from foldsweep.errors import UserError
from foldsweep.programs import (
    INTERRUPTED,
    EpochLine,
    command,
    console,
    parse,
    require_at_least,
    run_program,
)
from search_spaces.loading import load_variant
from sweeps.measured import MeasureSettings, log_measured, logged_where, repeated_pairs
from sweeps.rounds import fold_cohort
from sweeps.settings import check_name
from trainables.data.folds import stratified_folds
from trainables.data.images import load_images
from trainables.data.pairs import PairData
from trainables.data.source import Source
from trainables.recipe import Recipe
from trainables.seeds import Stream, derive_seed


@dataclass(frozen=True, kw_only=True)
class FinalistsSettings(MeasureSettings):
    """Cross-validate exported configurations again, on fresh seeds and folds that all share.

    The best of a sweep owes something to luck; here it has to be the best once more.
    `analysis/compare.py` then decides by these scores.
    """

    files: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Files that analysis/export.py wrote, such as the best three of each sweep (--top 3)."""
    repeats: int = 3
    """Cross-validations of each, with other folds, initialisations and, if fresh, pairs."""


def main() -> int:
    """Run the finals that the command line asks for; returns the exit code."""
    settings = parse(FinalistsSettings, sys.argv[1:], prog="sweeps/finalists.py")
    require_at_least(1, settings, "repeats")
    settings.check_seed()
    if not settings.files:
        raise UserError("name the files that analysis/export.py wrote, such as best-*.yaml")
    files = list(dict.fromkeys(settings.files))
    recipes = [_recipe(path) for path in files]
    for path, recipe in zip(files, recipes, strict=True):
        _check_comparable(recipes[0], files[0], recipe, path)
    source, said = load_images(recipes[0].dataset, data_dir=settings.data_dir)
    console.print(said)
    repeats, protocol = _repeats(settings, recipes[0], source)
    console.print(f"{len(recipes)} finalists, each: {protocol}")
    started = time.monotonic()
    for i, (path, recipe) in enumerate(zip(files, recipes, strict=True)):
        left = ""
        if i:
            each = (time.monotonic() - started) / i
            left = f"; about {each * (len(recipes) - i) / 60:.0f} min left"
        console.print(f"{i + 1} of {len(recipes)}: {recipe.sweep} trial {recipe.trial}{left}")
        try:
            _measure(settings, recipe, path, repeats, protocol)
        except KeyboardInterrupt:
            again = [*_options(sys.argv[1:], files), *map(str, files[i:])]
            console.print(
                f"interrupted; {i} of {len(recipes)} are logged. Go on with:"
                f" {command('sweeps/finalists.py', *again)}"
            )
            return INTERRUPTED
    console.print(f"compare them: {command('analysis/compare.py')}")
    return 0


def _recipe(path: Path) -> Recipe:
    recipe = Recipe.load(path)
    for part in recipe.sweep.split("/", 1):
        check_name(part)
    load_variant(recipe.space, recipe.variant).config.from_dict(recipe.config)
    return recipe


def _check_comparable(first: Recipe, first_path: Path, recipe: Recipe, path: Path) -> None:
    for name in ("dataset", "data_digest", "folds", "train_pairs", "seed"):
        ours, others = getattr(recipe, name), getattr(first, name)
        if ours != others:
            raise UserError(
                f"{path} has {name} {ours}, but {first_path} has {others}: finals need the same"
            )


def _repeats(
    settings: FinalistsSettings, recipe: Recipe, source: Source
) -> tuple[list[tuple[PairData, int]], str]:
    """Pairs and seed of each repeat, and the whole in words."""
    seed = recipe.seed if settings.seed is None else settings.seed
    seeds = [derive_seed(seed, Stream.FINALS, i) for i in range(settings.repeats)]
    data, fresh = repeated_pairs(recipe, source, seeds, settings.data)
    pairs = f"{recipe.train_pairs} {'fresh' if fresh else 'of the same'} {recipe.dataset} pairs"
    words = f"{settings.repeats} x {recipe.folds} fresh folds of {pairs}, seed {seed}"
    if not fresh:
        words += f", digest {recipe.data_digest[:12]}"
    return list(zip(data, seeds, strict=True)), words


def _measure(
    settings: FinalistsSettings,
    recipe: Recipe,
    path: Path,
    repeats: Sequence[tuple[PairData, int]],
    protocol: str,
) -> None:
    """Cross-validate one configuration, say what it came to and log it."""
    variant = load_variant(recipe.space, recipe.variant)
    config = variant.config.from_dict(recipe.config)
    torch.set_num_threads(recipe.threads)
    started = time.time()
    shown = EpochLine(config.epochs * len(repeats))
    accuracy: list[float] = []
    loss: list[float] = []
    for i, (data, seed) in enumerate(repeats):
        folds = stratified_folds(data.train.target, num_folds=recipe.folds, seed=seed % 2**32)
        scores = fold_cohort(config, data, folds, seed=seed).train(
            variant,
            mode=recipe.mode,  # type: ignore[arg-type]
            device="cuda" if torch.cuda.is_available() else "cpu",
            after_epoch=partial(_said, shown, i * config.epochs),
        )
        accuracy += scores.accuracy.tolist()
        loss += scores.loss.tolist()
    waiting, uri = log_measured(
        recipe,
        {metrics.VAL_ACCURACY: accuracy, metrics.VAL_LOSS: loss},
        kind="finals",
        tags={metrics.TAG_PROTOCOL: protocol, metrics.TAG_FOLDS: str(recipe.folds)},
        params={"repeats": settings.repeats},
        values={"evaluation_time_s": time.time() - started},
        data=repeats[0][0],
        files=[path],
        storage=settings.storage,
        experiment=settings.experiment,
        uri=settings.tracking_uri,
    )
    mean, std = float(np.mean(accuracy)), float(np.std(accuracy, ddof=1))
    before = recipe.score[metrics.VAL_ACCURACY]
    console.print(
        f"  {metrics.VAL_ACCURACY} {mean:.4f} ± {std:.4f} over {len(accuracy)} folds;"
        f" {before:.4f} in the sweep; {logged_where(recipe, settings.storage, waiting, uri)}"
    )


def _said(shown: EpochLine, before: int, epoch: int) -> None:
    shown.done(before + epoch)


def _options(args: Sequence[str], files: Sequence[Path]) -> list[str]:
    """The command line without its files."""
    named = {str(path) for path in files}
    return [arg for arg in args if arg not in named]


if __name__ == "__main__":
    run_program(main)
