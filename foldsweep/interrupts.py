"""What Ctrl-C does to a program, and how to leave it to Python again."""

import contextlib
import os
import signal
import sys
from types import FrameType

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


def end_at_once(number: int, frame: FrameType | None) -> None:
    """End this process without a word from Python; nothing has been begun that needs an end."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.write(sys.stderr.fileno(), b"interrupted\n")
    os._exit(INTERRUPTED)


def leave_to_python() -> None:
    """Let Ctrl-C raise KeyboardInterrupt again."""
    if signal.getsignal(signal.SIGINT) is end_at_once:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def signal_name(number: int) -> str:
    """Name of a signal; its number where it has none here."""
    with contextlib.suppress(ValueError):
        return signal.Signals(number).name
    return f"signal {number}"
