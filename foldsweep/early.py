"""Ctrl-C while a program still imports: one word and exit code 130.

A program imports this before anything else, and only where it is the program, not a module of
another one. An interrupt in the middle of an import is a traceback otherwise, or is taken by the
library for something else. `run_program` ends it.
"""

import signal

from foldsweep.interrupts import end_at_once

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, end_at_once)
