"""Handler of Ctrl-C during imports: prints one word and exits with code 130.

A program imports this module first, and only if it runs as the main program. Without it, Ctrl-C
during an import prints a traceback, or the library mistakes it for another error. `run_program`
restores Python's handler.
"""

import signal

from foldsweep.interrupts import end_at_once

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, end_at_once)
