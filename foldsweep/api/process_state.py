"""Restoration of the state of the user's process after a call."""

import logging
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from foldsweep.hints import no_hints

OPTUNA = "optuna"
OF_LIBRARIES = ("KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK")
"""Environment variables that scikit-learn sets on import and OpenMP needs; they are kept."""


@contextmanager
def undisturbed() -> Iterator[None]:
    """Restore environment, signal handlers, log levels, warnings, random numbers and torch."""
    environment, handlers, drawn = dict(os.environ), _handlers(), random.getstate()
    known = [logging.root, *logging.root.manager.loggerDict.values()]
    levels = {logger: logger.level for logger in known if isinstance(logger, logging.Logger)}
    if OPTUNA in sys.modules:
        logging.getLogger(OPTUNA).setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings(), no_hints(), _torch():
            yield
    finally:
        random.setstate(drawn)
        for name in os.environ.keys() - environment.keys() - {*OF_LIBRARIES}:
            del os.environ[name]
        os.environ.update(environment)
        if OPTUNA in sys.modules:  # imported during the call: set to Optuna's default
            levels.setdefault(logging.getLogger(OPTUNA), logging.INFO)
        for logger, level in levels.items():
            logger.setLevel(level)
        for number, handler in handlers.items():
            if signal.getsignal(number) is not handler:
                signal.signal(number, handler)


def _handlers() -> dict[int, Any]:
    """Return the signal handlers that Python can restore; none outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    found = {number: signal.getsignal(number) for number in signal.valid_signals()}
    return {number: handler for number, handler in found.items() if handler is not None}


@contextmanager
def _torch() -> Iterator[None]:
    """Restore torch's number of threads and random state, if torch has been imported."""
    torch = sys.modules.get("torch")
    with ExitStack() as kept:
        if torch is not None:
            kept.callback(torch.set_num_threads, torch.get_num_threads())
            devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []
            kept.enter_context(torch.random.fork_rng(devices))
        yield
