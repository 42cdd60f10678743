"""Ctrl-C while a program still imports: one word and exit code 130.

A program imports this before anything else, and only where it is the program, not a module of
another one. An interrupt in the middle of an import is a traceback otherwise, or is taken by the
library for something else. `run_program` ends it.
"""

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


if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, end_at_once)
