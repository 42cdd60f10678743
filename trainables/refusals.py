"""Which failures of a trial happen again however often it is tried."""

import hashlib
import re
import traceback

import torch

from foldsweep.errors import UserError

NOTE = "foldsweep error "
"""Beginning of the note that a failure carries: what it is told by when it comes again."""
SURROUNDINGS = (OSError, MemoryError, torch.OutOfMemoryError, torch.AcceleratorError)
"""Failures of disk, network, memory or device, which may be gone the next time."""


def happens_again(error: Exception, *, building: bool, last: str | None) -> bool:
    """Whether a failure is plainly deterministic, so that another attempt is wasted.

    A `UserError` is, and so is whatever stops a network from being built and from taking two rows:
    all it depends on is the configuration. Anything else is if it was the same in the attempt
    before, which ran in another process: same type, message and place. What comes from the
    surroundings, such as a full disk, never is.

    Args:
        error: What was raised.
        building: Whether it was raised while the trial was built.
        last: `signature` of the failure before; None if there was none.
    """
    if isinstance(error, UserError):
        return True
    if isinstance(error, SURROUNDINGS) or "allocate memory" in str(error):  # torch's, on a CPU
        return False
    return building or signature(error) == last


def signature(error: BaseException) -> str:
    """A word for type, message and place of a failure, the same in every process."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    message = re.sub(r"0x[0-9a-fA-F]+", "", str(error))  # addresses of objects
    said = f"{type(error).__qualname__}|{message}|{place}"
    return hashlib.sha256(said.encode(errors="replace")).hexdigest()[:16]


def signed(error: BaseException) -> None:
    """Have a failure carry its signature to whoever reads its traceback."""
    error.add_note(f"{NOTE}{signature(error)}")


def signature_in(text: str) -> str | None:
    """The signature of the last failure in a text of tracebacks; None where it has none."""
    found = re.findall(rf"^{NOTE}([0-9a-f]{{16}})$", text, re.MULTILINE)
    return found[-1] if found else None


def without_signatures(text: str) -> str:
    """Tracebacks as a user should see them."""
    return re.sub(rf"^{NOTE}[0-9a-f]{{16}}\n?", "", text, flags=re.MULTILINE)
