"""Trains a recipe's configuration once more, on all training rows, into a model that is kept."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from foldsweep.recipe import Recipe
from trainables.keep.model import KeptModel, code_of
from trainables.keep.network import Predictor, network_of
from trainables.seeds import Stream, derive_seed
from trainables.stack.passes import passes
from trainables.stack.stack import FoldStack, Member
from trainables.tasks.samples import Data
from trainables.tasks.shapes import inputs_record, raw_inputs
from trainables.tasks.task import Variant
from trainables.trial import make_stack


def fit(
    recipe: Recipe,
    variant: Variant,
    data: Data,
    *,
    device: str | None = None,
    after_epoch: Callable[[int], None] = lambda epoch: None,
) -> KeptModel:
    """Train one model on all of the sweep's training rows; the test rows stay out of it.

    The same recipe gives the same model: all that is random derives from its seed.

    Args:
        recipe: What to train.
        variant: The variant that the recipe names.
        data: The sweep's data, proven by its digest.
        device: Device to train on, a GPU if there is one; the model is on the CPU.
        after_epoch: Called with the number of each epoch that is done.

    Raises:
        UserError: If the configuration is not one of the variant, the file of a user's own variant
            is gone, or a loss becomes infinite or NaN.
    """
    config = variant.config.from_dict(recipe.config)
    code = code_of(Path(recipe.space)) if recipe.space.endswith(".py") else None
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_num_threads(recipe.threads)
    member = Member(
        config=config,
        train=np.arange(len(data.train)),
        held_out=np.arange(0),
        seed=derive_seed(recipe.seed, Stream.MODEL),
    )
    stack = make_stack(variant, [member], data, device=device, mode=recipe.mode)
    for done in passes(stack, config.epochs, finite=True):
        after_epoch(done.epoch)
    predictor = estimator = None
    if isinstance(stack, FoldStack):
        predictor = predictor_of(stack, variant, data)
    else:
        estimator = stack.models[0]
    return KeptModel(
        recipe=recipe,
        variant=variant,
        predictor=predictor,
        estimator=estimator,
        raw=raw_inputs(inputs_record(variant.task, data), variant.task),
        schema=data.schema,
        code=code,
    )


def predictor_of(stack: FoldStack, variant: Variant, data: Data) -> Predictor:
    """The first member of a trained stack, for raw inputs."""
    rows, task = stack.rows, variant.task
    config = stack.members[0].config
    constants = {k: (mean[0].cpu(), std[0].cpu()) for k, (mean, std) in rows.constants.items()}
    return Predictor(
        network_of(variant, config, task.shapes(data), stack.weights(0)),
        task,
        inputs=tuple(data.train.inputs),
        constants=constants,
        encoder=rows.encoders[0] if rows.encoders else None,
        statistics={name: rows.statistics[0][name] for name in task.predicts_with},
    )
