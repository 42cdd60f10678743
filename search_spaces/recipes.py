"""Loading of a recipe's variant: one that ships, one for any task, or a user's own."""

import hashlib
from pathlib import Path

from foldsweep.errors import UserError
from foldsweep.recipe import Recipe
from search_spaces.loading import load_variant
from trainables.keep.task import task_of
from trainables.tasks.task import Variant
from trainables.variants import variant_named


def variant_of(recipe: Recipe, file: Path | None = None) -> Variant:
    """Load the variant of a recipe.

    Args:
        recipe: The recipe.
        file: Path of the user's space file [the path in the recipe].

    Raises:
        UserError: If there is no such variant, or the user's file is missing, changed or broken.
    """
    if recipe.space.endswith(".py"):
        path = Path(recipe.space) if file is None else file
        _require_same(recipe, path)
        of_a_file = recipe.origin.get("data") is not None  # else the user's file has its own task
        task = task_of(recipe.record) if of_a_file else None
        return load_variant(str(path), recipe.variant, task)
    if recipe.record.get("schema") is None:  # a task that ships
        return variant_named(recipe.variant)
    return load_variant(recipe.space, recipe.variant, task_of(recipe.record))


def _require_same(recipe: Recipe, path: Path) -> None:
    """Reject a user's file that has changed since the sweep: other code gives other results."""
    if not recipe.file_digest:
        return
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise UserError.of("recipes.file-unreadable", path=path, reason=error.strerror) from None
    if digest != recipe.file_digest:
        raise UserError.of("recipes.file-changed", path=path)
