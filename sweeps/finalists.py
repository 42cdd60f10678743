"""Cross-validate exported configurations again: `python sweeps/finalists.py best-*.yaml`."""

if __name__ == "__main__":
    import foldsweep.early  # noqa: F401

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

from foldsweep import names
from foldsweep.checks import MOST_FOLDS
from foldsweep.errors import UserError
from foldsweep.numbers import shown_spread
from foldsweep.programs import (
    INTERRUPTED,
    EpochLine,
    command,
    console,
    parse,
    require_at_least,
    run_program,
)
from foldsweep.recipe import Recipe
from foldsweep.tracking import store_options
from sweeps.measured import (
    MeasureSettings,
    check_logging,
    log_measured,
    opened,
    repeated_data,
    store_of,
)
from sweeps.rounds import fold_cohort
from trainables.data.folds import Fold, overlap
from trainables.seeds import Stream, derive_seed
from trainables.tasks.samples import Data
from trainables.tasks.task import Variant


@dataclass(frozen=True, kw_only=True)
class FinalistsSettings(MeasureSettings):
    """Cross-validate exported configurations again, on fresh seeds and folds that all share.

    The score of a sweep's best is too high, by selection; here it has to be the best once more.
    `analysis/compare.py` then decides by these scores.
    """

    files: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Files that analysis/export.py wrote, such as the best three of each sweep (--top 3)."""
    repeats: int = 3
    """Cross-validations of each, with other folds, initialisations and, if fresh, rows."""


def main() -> int:
    """Run the finals that the command line asks for; returns the exit code."""
    settings = parse(FinalistsSettings, sys.argv[1:], prog="sweeps/finalists.py")
    require_at_least(1, settings, "repeats", most=MOST_FOLDS)
    settings.check_seed()
    if not settings.files:
        raise UserError("name the files that analysis/export.py wrote, such as best-*.yaml")
    files = list(dict.fromkeys(settings.files))
    found = [opened(path, trust=settings.trust) for path in files]
    recipes = [recipe for recipe, _ in found]
    for path, recipe in zip(files, recipes, strict=True):
        _check_comparable(recipes[0], files[0], recipe, path)
    check_logging(recipes, settings)
    repeats, protocol, fresh = _repeats(settings, recipes[0], found[0][1], files[0].parent)
    console.print(f"{len(recipes)} finalists, each: {protocol}")
    started = time.monotonic()
    for i, (path, (recipe, variant)) in enumerate(zip(files, found, strict=True)):
        left = ""
        if i:
            each = (time.monotonic() - started) / i
            left = f"; about {each * (len(recipes) - i) / 60:.0f} min left"
        console.print(f"{i + 1} of {len(recipes)}: {recipe.sweep} trial {recipe.trial}{left}")
        try:
            _measure(settings, recipe, variant, path, repeats, protocol, fresh=fresh)
        except KeyboardInterrupt:
            again = [*_options(sys.argv[1:], files), *map(str, files[i:])]
            console.print(
                f"interrupted; {i} of {len(recipes)} are logged. Continue with:"
                f" {command('sweeps/finalists.py', *again)}"
            )
            return INTERRUPTED
    for line in _compare_commands(settings, recipes):
        console.print(f"compare them: {line}")
    return 0


def _compare_commands(settings: FinalistsSettings, recipes: Sequence[Recipe]) -> list[str]:
    """The commands that show these finals, one for each store that they were logged to."""
    by_store: dict[tuple[str, str], list[Recipe]] = {}
    for recipe in recipes:
        by_store.setdefault(store_of(recipe, settings), []).append(recipe)
    commands = []
    for store, logged in by_store.items():
        sweeps = list(dict.fromkeys(recipe.sweep for recipe in logged))
        commands.append(command("analysis/compare.py", "--sweep", *sweeps, *store_options(*store)))
    return commands


def _check_comparable(first: Recipe, first_path: Path, recipe: Recipe, path: Path) -> None:
    for name in ("task", "dataset", "data_digest", "folds", "objective", "seed"):
        ours, others = getattr(recipe, name), getattr(first, name)
        if ours != others:
            raise UserError(
                f"{path} has {name} {ours}, but {first_path} has {others}: finals need the same"
            )


def _repeats(
    settings: FinalistsSettings, recipe: Recipe, variant: Variant, beside: Path
) -> tuple[list[tuple[Data, int]], str, bool]:
    """Data and seed of each repeat, the whole in words, and whether each repeat has fresh rows."""
    seed = recipe.seed if settings.seed is None else settings.seed
    seeds = [derive_seed(seed, Stream.FINALS, i) for i in range(settings.repeats)]
    data, fresh = repeated_data(recipe, variant.task, seeds, settings, beside)
    kind = "fresh" if fresh else "of the same"
    rows = f"{len(data[0].train)} {kind} {recipe.dataset} {variant.task.unit}"
    words = f"{settings.repeats} x {recipe.folds} fresh folds of {rows}, seed {seed}"
    if not fresh:
        words += f", digest {recipe.data_digest[:12]}"
    return list(zip(data, seeds, strict=True)), words, fresh


def _measure(
    settings: FinalistsSettings,
    recipe: Recipe,
    variant: Variant,
    path: Path,
    repeats: Sequence[tuple[Data, int]],
    protocol: str,
    *,
    fresh: bool,
) -> None:
    """Cross-validate one configuration, say what it came to and log it."""
    task = variant.task
    config = variant.config.from_dict(recipe.config)
    torch.set_num_threads(recipe.threads)
    started = time.time()
    shown = EpochLine(config.epochs * len(repeats))
    by_name: dict[str, list[float]] = {}
    every_fold: list[Fold] = []
    for i, (data, seed) in enumerate(repeats):
        folds = task.split.folds(
            data.train, target=task.target, num_folds=recipe.folds, seed=seed % 2**32
        )
        every_fold += folds
        scores = fold_cohort(config, data, folds, seed=seed).train(
            variant,
            mode=recipe.mode,
            device="cuda" if torch.cuda.is_available() else "cpu",
            after_epoch=partial(_said, shown, i * config.epochs),
        )
        for name, values in scores.held_out.items():
            by_name.setdefault(names.val_key(name), []).extend(values.tolist())
    logged = log_measured(
        recipe,
        by_name,
        kind="finals",
        tags={
            names.TAG_PROTOCOL: protocol,
            names.TAG_FOLDS: str(recipe.folds),
            names.TAG_OVERLAP: repr(overlap(every_fold)),
            names.TAG_FRESH_ROWS: str(fresh).lower(),
        },
        params={"repeats": settings.repeats},
        values={"evaluation_time_s": time.time() - started},
        data=repeats[0][0],
        files=[path],
        settings=settings,
    )
    key = recipe.objective_key
    mean, std = float(np.mean(by_name[key])), float(np.std(by_name[key], ddof=1))
    console.print(
        f"  {key} {shown_spread(mean, std)} over {len(by_name[key])} folds;"
        f" {recipe.score[key]:.4f} in the sweep; {logged}"
    )


def _said(shown: EpochLine, before: int, epoch: int) -> None:
    shown.done(before + epoch)


def _options(args: Sequence[str], files: Sequence[Path]) -> list[str]:
    """The command line without its files."""
    return [arg for arg in args if Path(arg) not in files]


if __name__ == "__main__":
    run_program(main)
