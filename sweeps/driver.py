"""Process that runs Ray; `sweeps.supervisor` starts it with this module.

A separate process shields the program that the user started from everything that Ray does to its
process: signal handlers, scheduling class, environment, or a sudden end in native code.
"""

import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, TextIO, cast

from foldsweep import streams
from foldsweep.errors import CodeError, UserError, shown_error
from foldsweep.interrupts import end_at_once, leave_to_python
from foldsweep.programs import run_program, take_sigterm_as_ctrl_c
from sweeps.channel import drop_empty_dumps, open_channel, tell
from sweeps.handover import Sent
from sweeps.settings import SweepSettings

if TYPE_CHECKING:
    from sweeps.cell import Cell

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that the starting program blocks until this process can handle them."""


def sweep(settings: SweepSettings, stored: SweepSettings | None, ui: bool) -> int:
    """Run sweeps for the command line; returns the exit code.

    Raises:
        UserError: If anything is wrong; nothing has been created or changed then.
    """
    from sweeps.outages import ServiceLost

    try:
        return _swept(settings, stored, ui=ui)
    except ServiceLost as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def answer(
    settings: SweepSettings, stored: SweepSettings | None, sent: Sent, ui: bool, notebook: bool
) -> int:
    """Run sweeps for a Python program, which raises any error; returns the exit code."""
    return _answered(lambda: _swept(settings, stored, sent, ui=ui, notebook=notebook))


def rehearse(settings: SweepSettings, stored: SweepSettings | None, sent: Sent) -> int:
    """Print for a Python program what a sweep would do; returns the exit code."""
    from sweeps import rehearsal

    return _answered(lambda: rehearsal.rehearse(settings, stored, sent.open()))


def _answered(call: Callable[[], int]) -> int:
    from sweeps.outages import ServiceLost

    try:
        return call()
    except UserError as error:
        shown = error.traceback if isinstance(error, CodeError) else ""
        tell(error=str(error), traceback=shown, kind=error.kind, values=error.values)
        return 2
    except ServiceLost as error:
        tell(error=str(error), traceback="")
    except Exception as error:
        tell(error=shown_error(error), traceback=traceback.format_exc())
    return 1


def _swept(
    settings: SweepSettings,
    stored: SweepSettings | None,
    sent: Sent | None = None,
    *,
    ui: bool = False,
    notebook: bool = False,
) -> int:
    """Run sweeps; returns the exit code.

    Ray starts while `sweeps.launch` and its dependencies are imported, since each takes seconds.

    Args:
        settings: Validated settings.
        stored: Settings of the sweep to resume; None for a new one.
        sent: Task and spaces made by a Python program; None for the command line.
        ui: Whether to serve MLflow's pages during the sweep.
        notebook: Whether the Python program is a notebook.

    Raises:
        UserError: If anything is wrong; nothing has been created or changed then.
    """
    from sweeps.cluster import Cluster

    cluster = Cluster(settings, beside=() if sent is None else sent.folders)
    cluster.start()

    from sweeps.launch import launch

    leave_to_python()
    given = None if sent is None else sent.open()
    return launch(settings, stored, cluster, given, ui=ui, cell=_told if notebook else None)


def _told(number: int) -> "Cell":
    """Cell of a space, by its number, whose output the starting notebook shows."""
    from sweeps.cell import Cell

    return Cell(lambda bundle: tell(shown=[number, bundle]))


def main() -> int:
    """Call the function that the starting program sends; returns the exit code."""
    take_sigterm_as_ctrl_c()
    signal.signal(signal.SIGINT, end_at_once)  # while modules are imported
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    # to the terminal this is a background job, which it would stop at the first line of output
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    name, arguments = pickle.load(sys.stdin.buffer)
    threading.Thread(target=_end_with, args=(_take_stdin(),), daemon=True).start()
    module, _, function = name.rpartition(".")
    try:
        call: Callable[..., int] = getattr(import_module(module), function)
        return call(*arguments)
    finally:
        drop_empty_dumps()
        tell(ended=True)


def _take_stdin() -> int:
    """Return the pipe from the starting program; stdin is empty for users' code from then on."""
    pipe = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return pipe


def _end_with(pipe: int) -> None:
    """End this process, as Ctrl-C does, when the starting program has ended."""
    while os.read(pipe, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


class _ByThread:
    """Stream to the user, except for Ray's own threads, which write to Ray's log file."""

    def __init__(self, users: Any, rays: Any):
        self._users = users
        self._rays = rays

    def __getattr__(self, name: str) -> Any:
        of_ray = threading.current_thread().name.startswith("ray_")
        return getattr(self._rays if of_ray else self._users, name)


def _apart(dumps: int) -> None:
    """Redirect the output of Ray to a file; the output of Python still goes to the user."""
    streams.secure()
    users = streams.lasting(sys.stderr, os.dup(2))
    os.dup2(dumps, 2)
    os.close(dumps)
    rays = open(2, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)
    sys.stdout = cast(TextIO, _ByThread(sys.stdout, rays))
    sys.stderr = cast(TextIO, _ByThread(users, rays))


if __name__ == "__main__":
    open_channel(int(sys.argv[1]))
    _apart(int(sys.argv[2]))
    run_program(main)
