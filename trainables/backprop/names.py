"""Looking up, by the name in a configuration, what a registry holds."""

from collections.abc import Mapping
from typing import TypeVar

from foldsweep.errors import UserError

Choice = TypeVar("Choice")


def chosen(registry: Mapping[str, Choice], name: str, *, what: str) -> Choice:
    """What a registry holds under a name.

    Raises:
        UserError: If it holds nothing under it; `what` says what the name stands for.
    """
    if name not in registry:
        raise UserError(f"{what} must be {' or '.join(registry)}, but is {name!r}")
    return registry[name]
