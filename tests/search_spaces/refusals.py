"""Checks of why a search space cannot be used, by the kind and values of the mistake in it."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from foldsweep.errors import UserError
from tests.refusals import refused


@contextmanager
def space_refused(
    kind: str, *, space: str = "mine", domain: str | None = None, **values: object
) -> Iterator[pytest.ExceptionInfo[UserError]]:
    """Expect that a space cannot be used, for a mistake of this kind with these values.

    With `domain`, the mistake is that of a value in the domain of this key.
    """
    with refused("space.cannot-be-used", space=space) as caught:
        yield caught
    reason = _reason(caught.value)
    if domain is not None:
        with refused("trying.value-impossible", key=domain):
            raise reason
        reason = _reason(reason)
    with refused(kind, **values):
        raise reason


def _reason(error: BaseException) -> UserError:
    """The mistake that an error passes on, with its whole sentence."""
    assert isinstance(error, UserError)
    assert isinstance(error.__cause__, UserError)
    assert error.values["reason"] == str(error.__cause__)
    return error.__cause__
