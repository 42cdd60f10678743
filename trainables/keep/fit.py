"""Trains a recipe's configuration once more, on all training pairs, into a model that is kept."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from foldsweep.errors import UserError
from trainables.data.pairs import PairData
from trainables.keep.classifier import PairClassifier, network_of
from trainables.keep.model import FittedModel
from trainables.recipe import Recipe
from trainables.seeds import Stream, derive_seed
from trainables.stack.averages import require_finite
from trainables.stack.stack import FoldStack, Member
from trainables.variants import Variant


def fit(
    recipe: Recipe,
    variant: Variant,
    data: PairData,
    *,
    device: str | None = None,
    after_epoch: Callable[[int], None] = lambda epoch: None,
) -> FittedModel:
    """Train one network on all of the sweep's training pairs; the test pairs stay out of it.

    The same recipe gives the same model: all that is random derives from its seed.

    Args:
        recipe: What to train.
        variant: The variant that the recipe names.
        data: The sweep's pairs, see `Recipe.draw_pairs`.
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
    mode = recipe.mode
    stack = FoldStack(variant.model, [member], data.train, device=device, mode=mode)  # type: ignore[arg-type]
    for epoch in range(1, config.epochs + 1):
        require_finite(stack.train().loss, epoch)
        after_epoch(epoch)
    classifier = PairClassifier(
        network_of(variant, config, stack.weights(0)),
        mean=stack.mean.item(),
        std=stack.std.item(),
        names_only=variant.names_only,
    )
    return FittedModel(recipe=recipe, variant=variant, classifier=classifier, code=code)


def _code(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise UserError(f"space file {path} cannot be read: {error.strerror}") from None
