"""All built-in variants by name; variants for any task are in `search_spaces`."""

from foldsweep.errors import UserError
from trainables.models.disc import DISC_VARIANTS
from trainables.models.pairs.variants import PAIR_VARIANTS
from trainables.tasks.task import Task, Variant

VARIANTS: dict[str, Variant] = {v.name: v for v in (*PAIR_VARIANTS, *DISC_VARIANTS)}
TASKS: dict[str, Task] = {v.task.name: v.task for v in reversed(VARIANTS.values())}


def variant_named(name: str) -> Variant:
    """A built-in variant, by its name or as `task/variant`.

    Raises:
        UserError: If there is no variant of this name.
    """
    task, _, short = name.rpartition("/")
    found = VARIANTS.get(short)
    if found is None or task not in ("", found.task.name):
        raise UserError.of("variants.unknown", variant=name, known=", ".join(VARIANTS))
    return found
