"""Conversion of list and dict choices to text, where only plain values can be kept, and back."""

import json
from collections.abc import Sequence
from typing import Any

from foldsweep.texts import text

Plain = str | int | float | bool | None


def is_container(value: Any) -> bool:
    """Whether a value is a list, a tuple or a dict."""
    return isinstance(value, list | tuple | dict)


def tupled(value: Any) -> Any:
    """Replace all lists in a value by tuples, which configurations use.

    JSON and YAML have no tuples, so this restores a value that was read from them.

    >>> tupled([1, {"sizes": [2, 3]}])
    (1, {'sizes': (2, 3)})
    """
    if isinstance(value, dict):
        return {key: tupled(inner) for key, inner in value.items()}
    return tuple(map(tupled, value)) if isinstance(value, list | tuple) else value


def encoded(value: Any) -> Plain:
    """Encode a choice for samplers and studies: a list, tuple or dict becomes JSON text.

    >>> encoded((32, 64)), encoded(None), encoded("relu")
    ('[32, 64]', None, 'relu')
    """
    return json.dumps(value, sort_keys=True) if is_container(value) else value


def find_choice(choices: Sequence[Any], value: Any) -> Any:
    """Return the choice of a study that equals a value.

    Raises:
        ValueError: If no choice does.
    """
    if is_container(value):
        wanted = tupled(value)
        for choice in choices:
            if isinstance(choice, str) and _decoded(choice) == wanted:
                return choice
    elif value in choices:
        return value
    known = ", ".join(map(repr, choices))
    raise ValueError(text("choices.none-of", value=value, known=known))


def _decoded(choice: str) -> Any:
    try:
        return tupled(json.loads(choice)) if choice[:1] in ("[", "{") else choice
    except ValueError:
        return choice
