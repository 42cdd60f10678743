"""Helper process that runs jobs for a program; `sweeps.spread` starts it."""

import os
import pickle
import sys
import threading
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

from foldsweep.beside import beside
from foldsweep.errors import UserError, shown_error

TELL_EVERY_S = 0.2
"""Least time between two reports of steps, in seconds."""


def main() -> None:
    """Run the jobs that arrive through the connection, until its other end is closed."""
    connection: Connection[Any, Any] = Connection(int(sys.argv[1]))
    orders: SimpleQueue[Any] = SimpleQueue()
    threading.Thread(target=_receive, args=(connection, orders), daemon=True).start()
    jobs: Sequence[Any] | None = None
    while True:
        order = orders.get()
        try:
            if jobs is None:
                jobs, order = _unpacked(*order), orders.get()
            said = ("ended", jobs[order].run(_Steps(connection)))
        except UserError as error:
            said = ("ended", error)
        except Exception as error:  # the program runs the job itself and shows the error
            said = ("failed", shown_error(error))
        connection.send(said)


def _receive(connection: "Connection[Any, Any]", orders: "SimpleQueue[Any]") -> None:
    try:
        while True:
            orders.put(connection.recv())
    except (OSError, EOFError):  # the program has ended
        os._exit(0)


def _unpacked(folders: Sequence[str], jobs: bytes) -> Sequence[Any]:
    """Unpickle jobs, which may need modules from the folders."""
    for folder in folders:
        beside.add(folder)
    found: Sequence[Any] = pickle.loads(jobs)
    return found


class _Steps:
    """Reports steps, at most once every `TELL_EVERY_S` seconds."""

    def __init__(self, connection: "Connection[Any, Any]"):
        self._connection = connection
        self._told = 0.0

    def __call__(self, step: int) -> None:
        if time.monotonic() - self._told >= TELL_EVERY_S:
            self._connection.send(("step", step))
            self._told = time.monotonic()
