"""Trains a recipe's configuration once more, on all training rows, into a model that is kept."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from foldsweep.errors import UserError
from foldsweep.recipe import Recipe
from trainables.keep.model import KeptModel
from trainables.keep.network import Predictor, network_of
from trainables.seeds import Stream, derive_seed
from trainables.stack.averages import require_finite
from trainables.stack.scoring import LOSS
from trainables.stack.stack import FoldStack, Member
from trainables.tasks.samples import Data
from trainables.tasks.shapes import raw_inputs
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
    code = _code(Path(recipe.space)) if recipe.space.endswith(".py") else None
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_num_threads(recipe.threads)
    member = Member(
        config=config,
        train=np.arange(len(data.train)),
        held_out=np.arange(0),
        seed=derive_seed(recipe.seed, Stream.MODEL),
    )
    stack = make_stack(variant, [member], data, device=device, mode=recipe.mode)  # type: ignore[arg-type]
    raw = raw_inputs(recipe.record, variant.task)
    common = {
        "recipe": recipe,
        "variant": variant,
        "raw": raw,
        "schema": data.schema,
        "code": code,
    }
    if not isinstance(stack, FoldStack):
        stack.advance(config.epochs)
        after_epoch(config.epochs)
        return KeptModel(estimator=stack.models[0], **common)
    for epoch in range(1, config.epochs + 1):
        require_finite(stack.train()[LOSS], epoch)
        after_epoch(epoch)
    return KeptModel(predictor=predictor_of(stack, variant, data), **common)


def predictor_of(stack: FoldStack, variant: Variant, data: Data) -> Predictor:
    """The first member of a trained stack, for raw inputs."""
    rows = stack.rows
    config = stack.members[0].config
    return Predictor(
        network_of(variant, config, variant.task.shapes(data), stack.weights(0)),
        variant.task,
        inputs=tuple(data.train.inputs),
        constants={name: (mean[0].cpu(), std[0].cpu()) for name, (mean, std) in rows.constants.items()},
        encoder=rows.encoders[0] if rows.encoders else None,
        statistics={name: rows.statistics[0][name] for name in variant.task.predicts_with},
    )


def _code(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise UserError(f"space file {path} cannot be read: {error.strerror}") from None
