"""Deterministic failures of a trial: those that every further attempt would repeat."""

import hashlib
import re
import traceback

import torch

from foldsweep.errors import UserError

NOTE = "foldsweep error "
"""Prefix of the note that carries a failure's signature, by which a repetition is recognised."""
SURROUNDINGS = (OSError, MemoryError, torch.OutOfMemoryError, torch.AcceleratorError)
"""Failures of disk, network, memory or device, which may not occur in the next attempt."""


def happens_again(error: Exception, *, building: bool, last: str | None) -> bool:
    """Whether a failure is deterministic, so that another attempt is pointless.

    * A `UserError` is deterministic.
    * A failure of `SURROUNDINGS`, such as a full disk, never is.
    * A failure to build a network, or to pass two rows through it, is: it depends on the
      configuration only.
    * Any other failure is if the attempt before, which ran in another process, failed with the
      same type, message and place.

    Args:
        error: The exception that was raised.
        building: Whether it was raised while the trial was built.
        last: `signature` of the failure before; None if there was none.
    """
    if isinstance(error, UserError):
        return True
    if isinstance(error, SURROUNDINGS) or "allocate memory" in str(error):  # torch's, on a CPU
        return False
    return building or signature(error) == last


def signature(error: BaseException) -> str:
    """Hash of a failure's type, message and place, the same in every process."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    message = re.sub(r"0x[0-9a-fA-F]+", "", str(error))  # without addresses of objects
    said = f"{type(error).__qualname__}|{message}|{place}"
    return hashlib.sha256(said.encode(errors="replace")).hexdigest()[:16]


def signed(error: BaseException) -> None:
    """Add a failure's signature as a note, so that its traceback contains it."""
    error.add_note(f"{NOTE}{signature(error)}")


def signature_in(text: str) -> str | None:
    """Signature of the last failure in a text of tracebacks; None if it has none."""
    found = re.findall(rf"^{NOTE}([0-9a-f]{{16}})$", text, re.MULTILINE)
    return found[-1] if found else None


def without_signatures(text: str) -> str:
    """Remove signatures from a text of tracebacks, to show it to a user."""
    return re.sub(rf"^{NOTE}[0-9a-f]{{16}}\n?", "", text, flags=re.MULTILINE)
