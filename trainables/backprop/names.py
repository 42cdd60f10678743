"""Registry lookup by the names that configurations use."""

from collections.abc import Mapping
from typing import TypeVar

from foldsweep.errors import UserError

Choice = TypeVar("Choice")


def chosen(registry: Mapping[str, Choice], name: str, *, what: str) -> Choice:
    """Return the entry of a registry.

    Args:
        registry: Entries by name.
        name: Name of the entry.
        what: Kind of the entries, for the message.

    Raises:
        UserError: If the registry has no entry of that name.
    """
    if name not in registry:
        raise UserError.of(
            "backprop-names.unknown", what=what, known=" or ".join(registry), name=name
        )
    return registry[name]
