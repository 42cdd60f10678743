import pytest
import torch

from foldsweep.errors import UserError
from trainables.refusals import happens_again, signature, signature_in, signed, without_signatures


def raised(error: Exception) -> Exception:
    try:
        raise error
    except Exception as caught:
        return caught


def test_a_failure_that_was_the_same_before_happens_again() -> None:
    first, second = (raised(RuntimeError(f"no <Net at 0x7f{i}a>")) for i in range(2))
    assert not happens_again(first, building=False, last=None)
    assert happens_again(second, building=False, last=signature(first))
    for other in (RuntimeError("no <Net>"), ValueError("no <Net at 0x7f0a>")):
        assert not happens_again(raised(other), building=False, last=signature(first))


def test_what_a_user_can_mend_and_what_cannot_be_built_happen_again() -> None:
    assert happens_again(raised(UserError("too large")), building=False, last=None)
    assert happens_again(raised(RuntimeError("mat1 and mat2")), building=True, last=None)


@pytest.mark.parametrize(
    "error",
    [OSError(28, "disk full"), MemoryError(), torch.OutOfMemoryError("CUDA"), TimeoutError()],
)
def test_what_the_surroundings_do_may_be_gone_the_next_time(error: Exception) -> None:
    for building in (False, True):
        assert not happens_again(raised(error), building=building, last=signature(raised(error)))


def test_a_traceback_carries_the_signature_and_a_user_does_not_see_it() -> None:
    error = raised(RuntimeError("two\nlines"))
    signed(error)
    note = error.__notes__[0]
    text = f"Failure # 1\nRuntimeError: two\nlines\n{note}\n"
    assert signature_in(text) == signature(error)
    assert without_signatures(text) == "Failure # 1\nRuntimeError: two\nlines\n"
    assert signature_in("a worker died") is None
