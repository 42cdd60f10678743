"""Ensembles: in each round, the models of all folds, measured together on test rows."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from foldsweep.errors import UserError
from sweeps.rounds import Cohort, Scores
from trainables.config import BaseConfig
from trainables.keep.ensemble import averaged_arrays
from trainables.keep.measure import of_predictions
from trainables.seeds import Stream, derive_seed
from trainables.stack.stack import FoldStack, Member
from trainables.tasks.samples import Data, Samples, joined
from trainables.tasks.task import Task, Variant
from trainables.trial import make_stack


def ensemble_cohort(
    config: BaseConfig, data: Data, task: Task, *, num_folds: int, seed: int, number: int
) -> Cohort:
    """Cohort with a member for each fold of a round's training rows, all measured on test rows.

    Args:
        config: Configuration of all members.
        data: Data of the round, with test rows.
        task: Task, which splits the training rows into folds.
        num_folds: Number of folds.
        seed: Seed of the rounds.
        number: Number of the round; each round has its own folds and initialisations.

    Raises:
        UserError: If there are no test rows.
    """
    folds = task.split.folds(
        data.train,
        target=task.target,
        num_folds=num_folds,
        seed=derive_seed(seed, Stream.ROUND_DATA, number) % 2**32,
    )
    size, test = len(data.train), data.test_rows
    members = [
        Member(
            config=config,
            train=fold.train,
            held_out=np.arange(size, size + len(test)),
            seed=derive_seed(seed, Stream.ROUND, number, i),
        )
        for i, fold in enumerate(folds)
    ]
    both = replace(data, train=joined([data.train, test]), test=None)
    return Cohort(members=tuple(members), data=both)


def check(cohort: Cohort, variant: Variant) -> None:
    """Refuse, before training, a task whose objective cannot be measured for an ensemble.

    Raises:
        UserError: If the objective is not computed from predictions.
    """
    stack = make_stack(variant, [cohort.members[0]], cohort.data)
    if isinstance(stack, FoldStack):
        _measured([stack.predict()[0]], cohort.held_out()[:1], variant)


def together(scores: Scores, rounds: Sequence[Samples], variant: Variant) -> Scores:
    """Scores of each round's ensemble, from the predictions of its members.

    Args:
        scores: Scores of the members of all rounds, in order.
        rounds: Test rows of each round.
        variant: Variant that was trained.
    """
    size = len(scores.predictions) // len(rounds)
    parts = [scores.predictions[i * size : (i + 1) * size] for i in range(len(rounds))]
    predictions = tuple(averaged_arrays(part) for part in parts)
    return replace(
        scores,
        held_out=_measured(predictions, rounds, variant),
        train={},
        predictions=predictions,
        num_params=size * scores.num_params,
    )


def _measured(
    predictions: Sequence[Mapping[str, np.ndarray]], rounds: Sequence[Samples], variant: Variant
) -> dict[str, np.ndarray]:
    """Values by round of each metric that is computed from predictions.

    Raises:
        UserError: If the objective is not such a metric.
    """
    task, found = variant.task, {}
    for name, metric in task.metrics.items():
        try:
            values = [
                of_predictions(said, rows, name, metric, variant).value()
                for said, rows in zip(predictions, rounds, strict=True)
            ]
        except UserError:
            if name == task.objective:
                raise
            continue  # the metric needs more of a network than its predictions
        found[name] = np.array(values)
    return found
