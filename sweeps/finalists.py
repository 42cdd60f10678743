"""Cross-validate exported configurations again: `python sweeps/finalists.py best-*.yaml`."""

if __name__ == "__main__":
    import foldsweep.early  # noqa: F401

import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
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
    command,
    console,
    parse,
    require_at_least,
    run_program,
)
from foldsweep.recipe import Recipe
from foldsweep.texts import text
from foldsweep.tracking import store_options
from sweeps.measurements import (
    MeasureSettings,
    check_logging,
    log_measured,
    opened,
    repeated_data,
    store_of,
)
from sweeps.rounds import Scores, Training, fold_cohort, spread
from trainables.data.folds import Fold, overlap
from trainables.seeds import Stream, derive_seed
from trainables.tasks.samples import Data
from trainables.tasks.task import Task, Variant


@dataclass(frozen=True, kw_only=True)
class FinalistsSettings(MeasureSettings):
    """Cross-validate exported configurations again, all on the same fresh seeds and folds.

    The score of a sweep's best trial is optimistic, since it was selected by that score. The new
    scores are not selected; `analysis/compare.py` then compares the configurations by them.
    """

    files: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Files that analysis/export.py wrote, such as the best three of each sweep (--top 3)."""
    repeats: int = 3
    """Cross-validations of each file, each with other folds, initialisations and, if fresh,
    rows."""


@dataclass(frozen=True, kw_only=True)
class Repeat:
    """One cross-validation, the same for all finalists."""

    data: Data
    seed: int
    folds: tuple[Fold, ...]


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """Cross-validations that are common to all finalists."""

    repeats: tuple[Repeat, ...]
    fresh: bool
    """Whether each repeat has fresh rows."""
    words: str


def main() -> int:
    """Run the finals that the command line requests; returns the exit code."""
    settings = parse(FinalistsSettings, sys.argv[1:], prog="sweeps/finalists.py")
    require_at_least(1, settings, "repeats", most=MOST_FOLDS)
    settings.check()
    if not settings.files:
        raise UserError.of("finalists.no-files")
    files = list(dict.fromkeys(settings.files))
    found = [opened(path, trust=settings.trust) for path in files]
    recipes = [recipe for recipe, _ in found]
    for path, recipe in zip(files, recipes, strict=True):
        _check_comparable(recipes[0], files[0], recipe, path)
    check_logging(recipes, settings)
    protocol = _protocol(settings, recipes[0], found[0][1].task, files[0].parent)
    console.print(text("finalists.begin", files=len(recipes), protocol=protocol.words))
    trainings = [
        training for recipe, variant in found for training in _trainings(recipe, variant, protocol)
    ]
    with closing(spread(trainings, settings.concurrency)) as trained:
        for i, (path, recipe) in enumerate(zip(files, recipes, strict=True)):
            try:
                scores = Scores.of_all([next(trained) for _ in protocol.repeats])
                said = text(
                    "finalists.trained",
                    number=i + 1,
                    files=len(recipes),
                    sweep=recipe.sweep,
                    trial=recipe.trial,
                )
                console.print(said)
                _log(settings, recipe, path, scores, protocol)
            except KeyboardInterrupt:
                again = [*_options(sys.argv[1:], files), *map(str, files[i:])]
                said = text(
                    "finalists.interrupted",
                    logged=i,
                    files=len(recipes),
                    resume=command("sweeps/finalists.py", *again),
                )
                console.print(said)
                return INTERRUPTED
    for line in _compare_commands(settings, recipes):
        console.print(text("finalists.compare", command=line))
    return 0


def _compare_commands(settings: FinalistsSettings, recipes: Sequence[Recipe]) -> list[str]:
    """Commands that compare these finals, one for each store that they were logged to."""
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
            raise UserError.of(
                "finalists.not-comparable",
                path=path,
                name=name,
                value=ours,
                first=first_path,
                other=others,
            )


def _protocol(settings: FinalistsSettings, recipe: Recipe, task: Task, beside: Path) -> Protocol:
    """Protocol that the command line and the first recipe define."""
    seed = recipe.seed if settings.seed is None else settings.seed
    seeds = [derive_seed(seed, Stream.FINALS, i) for i in range(settings.repeats)]
    data, fresh = repeated_data(recipe, task, seeds, settings, beside)
    kind = "fresh" if fresh else "of the same"
    rows = f"{len(data[0].train)} {kind} {recipe.dataset} {task.unit}"
    words = f"{settings.repeats} x {recipe.folds} fresh folds of {rows}, seed {seed}"
    if not fresh:
        words += f", digest {recipe.data_digest[:12]}"
    repeats = []
    for own, one in zip(data, seeds, strict=True):
        folds = task.split.folds(
            own.train, target=task.target, num_folds=recipe.folds, seed=one % 2**32
        )
        repeats.append(Repeat(data=own, seed=one, folds=folds))
    return Protocol(repeats=tuple(repeats), fresh=fresh, words=words)


def _trainings(recipe: Recipe, variant: Variant, protocol: Protocol) -> list[Training]:
    """Trainings of a configuration: one stack for each repeat."""
    config = variant.config.from_dict(recipe.config)
    return [
        Training(
            variant=variant,
            cohort=fold_cohort(config, repeat.data, repeat.folds, seed=repeat.seed),
            mode=recipe.mode,
            threads=recipe.threads,
            device="cuda" if torch.cuda.is_available() else "cpu",
        )
        for repeat in protocol.repeats
    ]


def _log(
    settings: FinalistsSettings, recipe: Recipe, path: Path, scores: Scores, protocol: Protocol
) -> None:
    """Log and print the scores of a configuration's repeats."""
    by_name = {names.val_key(name): values for name, values in scores.held_out.items()}
    logged = log_measured(
        recipe,
        by_name,
        kind="finals",
        tags={
            names.TAG_PROTOCOL: protocol.words,
            names.TAG_FOLDS: str(recipe.folds),
            names.TAG_OVERLAP: repr(overlap([f for r in protocol.repeats for f in r.folds])),
            names.TAG_FRESH_ROWS: str(protocol.fresh).lower(),
        },
        params={"repeats": settings.repeats},
        values={"evaluation_time_s": scores.train_time_s},
        data=protocol.repeats[0].data,
        files=[path],
        settings=settings,
    )
    values = by_name[recipe.objective_key]
    mean, std = float(np.mean(values)), float(np.std(values, ddof=1))
    said = text(
        "finalists.scored",
        metric=recipe.objective_key,
        score=shown_spread(mean, std),
        folds=len(values),
        before=f"{recipe.score[recipe.objective_key]:.4f}",
        logged=logged,
    )
    console.print(f"  {said}")


def _options(args: Sequence[str], files: Sequence[Path]) -> list[str]:
    """The command line without its files."""
    return [arg for arg in args if Path(arg) not in files]


if __name__ == "__main__":
    run_program(main)
