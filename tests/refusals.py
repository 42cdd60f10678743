"""Checks of errors by their kind and values, so that rewording a sentence breaks no test."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from foldsweep.errors import UserError
from foldsweep.texts import text

__all__ = ["refused", "text"]


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
