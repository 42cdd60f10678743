"""Handlers of Ctrl-C: one that exits at once, and the return to Python's own."""

import contextlib
import os
import signal
import sys
from types import FrameType

INTERRUPTED = 130
"""Exit code after Ctrl-C, by the convention of shells."""


def end_at_once(number: int, frame: FrameType | None) -> None:
    """Exit at once, without a traceback: there is nothing to clean up yet."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.write(sys.stderr.fileno(), b"interrupted\n")
    os._exit(INTERRUPTED)


def leave_to_python() -> None:
    """Restore Python's handler, with which Ctrl-C raises `KeyboardInterrupt`."""
    if signal.getsignal(signal.SIGINT) is end_at_once:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def signal_name(number: int) -> str:
    """Return the name of a signal, or its number if this platform has no name for it."""
    with contextlib.suppress(ValueError):
        return signal.Signals(number).name
    return f"signal {number}"
