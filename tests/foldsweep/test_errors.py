"""Text that is shown for an exception, and what is left of one in another process."""

import pickle

import pytest

from foldsweep.errors import CodeError, UserError, first_line


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


def test_an_error_is_the_same_in_another_process() -> None:
    error = UserError.of("images.dataset-unknown", dataset="mnst", known="mnist, digits")
    bug = CodeError("net.py, line 3: no", "Traceback ...")
    bug.kind = "code.failed"
    for one in (error, bug):
        again = pickle.loads(pickle.dumps(one))
        assert type(again) is type(one)
        assert (str(again), vars(again)) == (str(one), vars(one))
