"""Text that is shown for an exception."""

import pytest

from foldsweep.errors import first_line


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("one\ntwo"), "one"),
        (ValueError("\n  one\n"), "one"),
        (ValueError(""), "ValueError('')"),
        (KeyError(), "KeyError()"),
    ],
)
def test_an_error_always_has_a_first_line(error: Exception, line: str) -> None:
    assert first_line(error) == line
