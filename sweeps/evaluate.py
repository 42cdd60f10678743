"""Measure an exported configuration: `python sweeps/evaluate.py FILE --rounds 10`."""

if __name__ == "__main__":
    import foldsweep.early  # noqa: F401

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import tyro

from foldsweep import names
from foldsweep.checks import MOST_FOLDS
from foldsweep.errors import UserError
from foldsweep.numbers import plural, shown_spread
from foldsweep.programs import (
    INTERRUPTED,
    EpochLine,
    console,
    parse,
    require_at_least,
    run_program,
)
from foldsweep.recipe import Recipe
from foldsweep.texts import text
from foldsweep.user_code import users_code
from sweeps.answers import evaluation
from sweeps.constant import ACCURACY
from sweeps.ensembles import check, ensemble_cohort, together
from sweeps.measurements import (
    MeasureSettings,
    check_logging,
    log_measured,
    opened,
    repeated_data,
)
from sweeps.provenance import machine, versions
from sweeps.rounds import Cohort, Scores, Training, round_cohort, spread
from trainables.models.estimators.config import EstimatorConfig
from trainables.seeds import Stream, derive_seed
from trainables.tasks.samples import Data, Samples
from trainables.tasks.task import Task, Variant
from trainables.trial import Context, CrossValidation, summary


@dataclass(frozen=True, kw_only=True)
class EvaluateSettings(MeasureSettings):
    """Retrain an exported configuration on all training rows and measure it on test rows."""

    file: Annotated[Path, tyro.conf.Positional]
    """File that analysis/export.py wrote."""
    rounds: int = 10
    """Number of trainings, each with its own initialisation."""
    cv: bool = False
    """Repeat the sweep's cross-validation instead and compare with the file's score."""
    ensemble: bool = False
    """Train a model for each fold in every round, and measure their averaged predictions."""


def main() -> int:
    """Run the evaluation that the command line requests; returns the exit code."""
    settings = parse(EvaluateSettings, sys.argv[1:], prog="sweeps/evaluate.py")
    require_at_least(1, settings, "rounds", most=MOST_FOLDS)
    settings.check()
    if settings.cv and settings.ensemble:
        raise UserError.of("evaluate.ensemble-with-cv")
    recipe, variant = opened(settings.file, trust=settings.trust)
    if not settings.cv:
        check_logging([recipe], settings)
    try:
        return (_cross_validate if settings.cv else _measure)(settings, recipe, variant)
    except KeyboardInterrupt:
        console.print(text("evaluate.interrupted"))
        return INTERRUPTED


def _cross_validate(settings: EvaluateSettings, recipe: Recipe, variant: Variant) -> int:
    """Repeat the trial's cross-validation and compare the scores; returns the exit code."""
    task = variant.task
    (data,), _ = repeated_data(recipe, task, [0], _same(settings), settings.file.parent)
    config = variant.config.from_dict(recipe.config)
    torch.set_num_threads(recipe.threads)
    folds = task.split.folds(
        data.train, target=task.target, num_folds=recipe.folds, seed=recipe.seed
    )
    context = Context(
        data=data,
        folds=folds,
        seed=recipe.seed,
        threads=recipe.threads,
        device=recipe.device if torch.cuda.is_available() else "cpu",
        mode=recipe.mode,
    )
    trial = CrossValidation(variant, config, context, recipe.trial)
    shown = EpochLine(config.epochs)
    trial.advance(config.epochs, after_epoch=lambda: shown.done(trial.stack.epoch))
    score = summary(trial.by_fold)
    # a file of an earlier version may lack some metrics
    equal = {name: trial.by_fold.get(name) for name in recipe.fold_scores} == recipe.fold_scores
    key = recipe.objective_key
    for name in dict.fromkeys((key, names.VAL_LOSS)):
        if name in score and name in recipe.score:
            std = names.std_key(name)
            said = text(
                "evaluate.repeated",
                metric=name,
                ours=f"{score[name]:.6f} ± {score[std]:.6f}",
                folds=len(folds),
                recorded=f"{recipe.score[name]:.6f} ± {recipe.score[std]:.6f}",
            )
            console.print(said)
    if equal:
        console.print(text("evaluate.equal"))
        return 0
    changed = {k: v for k, v in versions().items() if recipe.versions.get(k) != v}
    said = text(
        "evaluate.not-equal",
        recorded=recipe.machine,
        run=machine(),
        versions=changed or "none",
    )
    console.print(said)
    return 0 if abs(score[key] - recipe.score[key]) <= recipe.score[names.std_key(key)] else 1


def _same(settings: EvaluateSettings) -> EvaluateSettings:
    """The settings, with the sweep's own rows in place of fresh ones."""
    return replace(settings, data="same") if settings.data in ("auto", "fresh") else settings


def _measure(settings: EvaluateSettings, recipe: Recipe, variant: Variant) -> int:
    """Train the rounds, print their scores, and log them beside the sweep; returns 0."""
    task = variant.task
    seed = recipe.seed if settings.seed is None else settings.seed
    seeds = [derive_seed(seed, Stream.ROUND_DATA, i) for i in range(settings.rounds)]
    data, fresh = repeated_data(recipe, task, seeds, settings, settings.file.parent)
    config = variant.config.from_dict(recipe.config)
    estimator = isinstance(config, EstimatorConfig)
    length = "" if estimator else text("evaluate.of-epochs", epochs=config.epochs)
    cohorts = _cohorts(settings, recipe, variant, data, seed)
    who = recipe.variant
    if settings.ensemble:
        who += text("evaluate.ensembles", models=len(cohorts[0].members))
    said = text(
        "evaluate.on-fresh-rows" if fresh else "evaluate.on-same-rows",
        who=who,
        trainings=plural(settings.rounds, "training"),
        length=length,
        number=len(data[0].train),
        rows=f"{recipe.dataset} {task.unit}",
    )
    console.print(said)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with users_code("building the network fails in"):
        if settings.ensemble:
            check(cohorts[0], variant)
        stacks = [
            one for c in cohorts for one in c.stacks(variant, mode=recipe.mode, device=device)
        ]
    trainings = [
        Training(
            variant=variant, cohort=one, mode=recipe.mode, threads=recipe.threads, device=device
        )
        for one in stacks
    ]
    scores = Scores.of_all([*spread(trainings, settings.concurrency)])
    size = len(scores.predictions) // settings.rounds
    tested = [rows for cohort in cohorts for rows in cohort.held_out()][::size]
    if settings.ensemble:
        scores = together(scores, tested, variant)
    on = text(
        "evaluate.fresh-test-rows" if fresh else "evaluate.same-test-rows",
        number=len(data[0].test_rows),
        rows=task.unit,
    )
    _say(recipe, scores, on)
    if not fresh and recipe.objective == ACCURACY:
        console.print(_of_rows(task, tested, scores))
    answers = evaluation(task, tested, scores.predictions)
    texts = {names.EVALUATION_FILE: json.dumps(answers) + "\n"}
    console.print(_log(settings, recipe, scores, data[0], fresh, seed, texts, size))
    return 0


def _cohorts(
    settings: EvaluateSettings, recipe: Recipe, variant: Variant, data: Sequence[Data], seed: int
) -> list[Cohort]:
    """All rounds as one cohort; for ensembles, a cohort of fold models for each round."""
    config = variant.config.from_dict(recipe.config)
    if not settings.ensemble:
        return [round_cohort(config, data, seed=seed)]
    return [
        ensemble_cohort(
            config, of_round, variant.task, num_folds=recipe.folds, seed=seed, number=number
        )
        for number, of_round in enumerate(data)
    ]


def _say(recipe: Recipe, scores: Scores, measured_on: str) -> None:
    """Print the objective on test rows, and its cross-validated value in the sweep."""
    name, key = recipe.objective, recipe.objective_key
    values = scores.held_out[name]
    spread = text("evaluate.one-round")
    if len(values) > 1:
        std = float(values.std(ddof=1))
        error = std / len(values) ** 0.5
        shown = f"{error:.4f}"
        spread = text("evaluate.spread", std=f"{std:.4f}", rounds=len(values), error=shown)
        if np.ptp(values) == 0:
            spread = text("evaluate.no-spread", rounds=len(values))
    before = shown_spread(recipe.score[key], recipe.score[names.std_key(key)])
    mean = f"{float(np.mean(values)):.4f}"
    console.print(text("evaluate.test", metric=name, mean=mean, spread=spread, on=measured_on))
    console.print(text("evaluate.in-the-sweep", score=before))


def _of_rows(task: Task, tested: Sequence[Samples], scores: Scores) -> str:
    """Line with the standard error of the accuracy over the test rows, which rounds share."""
    right = [
        said["answer"] == rows.targets[task.target]
        for rows, said in zip(tested, scores.predictions, strict=True)
    ]
    error = np.mean(right, axis=0).std(ddof=1) / len(right[0]) ** 0.5
    return text("evaluate.by-rows", error=f"{error:.4f}")


def _log(
    settings: EvaluateSettings,
    recipe: Recipe,
    scores: Scores,
    data: Data,
    fresh: bool,
    seed: int,
    texts: Mapping[str, str],
    size: int,
) -> str:
    """Log the scores beside the sweep; returns a line that says where.

    Args:
        settings: Settings, which say where to log.
        recipe: Recipe that was measured.
        scores: Its scores, by round.
        data: Data of the first round.
        fresh: Whether each round has fresh rows.
        seed: Seed of the rounds.
        texts: Texts to attach, by file name.
        size: Number of models of a round; more than 1 for ensembles.
    """
    ensemble = {names.TAG_ENSEMBLE: str(size)} if size > 1 else {}
    by_name = {names.test_key(name): values for name, values in scores.held_out.items()}
    by_name |= {names.train_key(name): values for name, values in scores.train.items()}
    return log_measured(
        recipe,
        by_name,
        kind="ensemble" if ensemble else "evaluation",
        tags={
            names.TAG_DATA_DIGEST: "fresh in each round" if fresh else recipe.data_digest,
            names.TAG_SEED: str(seed),
            **ensemble,
        },
        params={"rounds": settings.rounds, "data": "fresh" if fresh else "same"},
        values={"evaluation_time_s": scores.train_time_s},
        data=data,
        files=[settings.file],
        texts=texts,
        settings=settings,
    )


if __name__ == "__main__":
    run_program(main)
