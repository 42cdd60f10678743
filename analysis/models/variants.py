"""The variant of a recipe. Search spaces, which import Ray, are loaded only when needed."""

from pathlib import Path

from foldsweep.recipe import Recipe
from trainables.keep.task import task_of
from trainables.tasks.task import Variant
from trainables.variants import variant_named


def variant_of(recipe: Recipe, file: Path | None = None) -> Variant:
    """The variant that a recipe names; the file of a user's own variant is executed.

    Args:
        recipe: The recipe.
        file: The user's file of the space, if it is not at the recorded place.

    Raises:
        UserError: If there is no such variant, or a user's file is missing, changed or broken.
    """
    if recipe.space.endswith(".py"):
        from search_spaces import recipes

        return recipes.variant_of(recipe, file)
    if recipe.record.get("schema") is None:  # a built-in task
        return variant_named(recipe.variant)
    from search_spaces.loading import load_variant

    return load_variant(recipe.space, recipe.variant, task_of(recipe.record))
