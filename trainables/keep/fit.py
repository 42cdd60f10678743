"""Training of a kept model: a recipe's configuration, trained again on all training rows."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from foldsweep.recipe import Recipe
from trainables.config import BaseConfig
from trainables.keep.ensemble import Ensemble
from trainables.keep.model import KeptModel, code_of
from trainables.keep.network import Predictor, network_of
from trainables.seeds import Stream, derive_seed
from trainables.stack.passes import passes
from trainables.stack.stack import FoldStack, Member
from trainables.tasks.samples import Data
from trainables.tasks.shapes import inputs_record, raw_inputs
from trainables.tasks.task import Variant
from trainables.trial import fold_members, make_stack


def fit(
    recipe: Recipe,
    variant: Variant,
    data: Data,
    *,
    ensemble: bool = False,
    device: str | None = None,
    after_epoch: Callable[[int], None] = lambda epoch: None,
) -> KeptModel:
    """Train one model on all of the sweep's training rows, without the test rows.

    With `ensemble`, train the models of the trial's folds again, as they were in the sweep, and
    combine them to one.

    The same recipe gives the same model: all random numbers derive from its seed.

    Args:
        recipe: Recipe of the configuration.
        variant: The variant that the recipe names.
        data: The sweep's data, verified by its digest.
        ensemble: Whether to train the models of the trial's folds.
        device: Device to train on [a GPU if available]; the returned model is on the CPU.
        after_epoch: Called with the number of each completed epoch.

    Raises:
        UserError: If the configuration does not fit the variant, the file of a user's own variant
            cannot be read, or a loss becomes infinite or NaN.
    """
    config = variant.config.from_dict(recipe.config)
    code = code_of(Path(recipe.space)) if recipe.space.endswith(".py") else None
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_num_threads(recipe.threads)
    if ensemble:
        folds = variant.task.split.folds(
            data.train, target=variant.task.target, num_folds=recipe.folds, seed=recipe.seed
        )
        members = fold_members(config, folds, seed=recipe.seed, number=recipe.trial)
    else:
        members = [_whole(config, data, seed=recipe.seed)]
    stack = make_stack(variant, members, data, device=device, mode=recipe.mode)
    for done in passes(stack, config.epochs, finite=True):
        after_epoch(done.epoch)
    predictor: Predictor | Ensemble | None = None
    estimators: tuple[Any, ...] = ()
    if isinstance(stack, FoldStack):
        predictors = [predictor_of(stack, variant, data, i) for i in range(len(members))]
        predictor = Ensemble(predictors) if ensemble else predictors[0]
    else:
        estimators = tuple(stack.models)
    return KeptModel(
        recipe=recipe,
        variant=variant,
        predictor=predictor,
        estimators=estimators,
        raw=raw_inputs(inputs_record(variant.task, data), variant.task),
        schema=data.schema,
        code=code,
    )


def _whole(config: BaseConfig, data: Data, *, seed: int) -> Member:
    """The member that trains on all rows and holds out none."""
    return Member(
        config=config,
        train=np.arange(len(data.train)),
        held_out=np.arange(0),
        seed=derive_seed(seed, Stream.MODEL),
    )


def predictor_of(stack: FoldStack, variant: Variant, data: Data, member: int) -> Predictor:
    """A member of a trained stack as a predictor, which takes raw inputs."""
    rows, task = stack.rows, variant.task
    config = stack.members[member].config
    constants = {
        name: (mean[member].cpu(), std[member].cpu())
        for name, (mean, std) in rows.constants.items()
    }
    return Predictor(
        network_of(variant, config, task.shapes(data), stack.weights(member)),
        task,
        inputs=tuple(data.train.inputs),
        constants=constants,
        encoder=rows.encoders[member] if rows.encoders else None,
        statistics={name: rows.statistics[member][name] for name in task.predicts_with},
    )
