"""Checks of errors by their kind and values, so that rewording a sentence breaks no test."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from foldsweep.errors import UserError
from foldsweep.texts import text, texts

__all__ = ["refused", "said_as", "text"]


@contextmanager
def refused(
    kind: str, *, by: type[UserError] = UserError, **values: object
) -> Iterator[pytest.ExceptionInfo[UserError]]:
    """Expect an error of this kind whose message has at least these values.

    Values other than numbers are compared as text.
    """
    with pytest.raises(by) as caught:
        yield caught
    assert caught.value.kind == kind, f"{caught.value.kind}: {caught.value}"
    found = {name: caught.value.values.get(name) for name in values}
    assert found == {
        name: value if isinstance(value, int | float) else str(value)
        for name, value in values.items()
    }


def said_as(kind: str, **values: object) -> re.Pattern[str]:
    """Return a pattern that matches the text of a kind with these values, others being any."""
    words = texts()[kind]
    assert values.keys() <= set(re.findall(r"\{(\w+)", words)), f"{kind} has other values"
    known = re.sub(r"\{(\w+).*?\}", lambda name: name[0] if name[1] in values else "\0", words)
    return re.compile(".*".join(map(re.escape, known.format_map(values).split("\0"))))
