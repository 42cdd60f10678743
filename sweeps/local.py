"""Runs trials in this process, one after another, without Ray: for short sweeps and debugging."""

import signal
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from rich.console import Console

from foldsweep.errors import UserError, shown_error
from sweeps.lifecycle import Lifecycle
from sweeps.machines import Machines
from sweeps.processors import available_cpus
from sweeps.progress import Progress
from sweeps.resources import Allotment, Capacity, allot
from sweeps.settings import SweepSettings
from trainables.refusals import signature_in, without_signatures
from trainables.trainable import HELD_OUT, FoldTrainable, trainable_for
from trainables.trial import Context

KEY = "here"
"""Key of the one trial in training."""


class Here:
    """Resources of this process, in place of `Cluster` if trials run without Ray."""

    def __init__(self, settings: SweepSettings):
        """Allot resources of this machine to a trial.

        Raises:
            UserError: If a trial needs more than there is, or `trial_timeout` is set, which needs
                a separate process.
        """
        if settings.trial_timeout is not None:
            raise UserError.of("local.timeout-without-process")
        capacity = Capacity(
            node="this machine", cpus=available_cpus(), gpus=torch.cuda.device_count()
        )
        self._allotment = replace(allot(settings, [capacity]), concurrency=1)
        self.machines = Machines.fixed(self._allotment)

    def refuse(self) -> None:
        """Do nothing: all errors were raised by `__init__`."""

    def keep_logs_in(self, path: Path) -> None:
        """Do nothing: there are no logs of Ray."""

    def __enter__(self) -> Allotment:
        return self._allotment

    def __exit__(self, *exception: object) -> None:
        """Do nothing: no process was started."""


def fit_here(
    lifecycle: Lifecycle,
    context: Context,
    settings: SweepSettings,
    *,
    allotment: Allotment,
    machines: Machines,
    folder: Path,
    console: Console,
) -> bool:
    """Train the trials of the lifecycle as `sweeps.fitting.fit` does, with the same result."""
    progress = Progress(lifecycle, console, time_budget=settings.time_budget)
    # not by Ray's `__init__`, which looks for a cluster
    worker: FoldTrainable = object.__new__(trainable_for(lifecycle.space.variant))
    worker.begin(context)
    ctrl_c = _CtrlC()
    torch.set_num_threads(context.threads)
    try:
        with ctrl_c.taken():
            while not (ctrl_c.asked or lifecycle.hopeless or lifecycle.out_of_time):
                config = lifecycle.start(KEY) if lifecycle.ledger.may_ask else None
                if config is None:
                    break
                lifecycle.placed(KEY)
                worker.reset_config(config)
                _train(worker, lifecycle, progress, ctrl_c)
    finally:
        progress.stop()
    return bool(lifecycle.ledger.trials_left) and not (lifecycle.out_of_time or lifecycle.hopeless)


class _CtrlC:
    """Handler of Ctrl-C that interrupts training at once, but not the recording of results."""

    def __init__(self) -> None:
        self.asked = False
        self.in_training = False

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Handle Ctrl-C, if this is the main thread: no other thread can handle signals."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGINT, self._hear)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    @contextmanager
    def training(self) -> Iterator[None]:
        """Context in which Ctrl-C raises KeyboardInterrupt, also if it was pressed before."""
        self.in_training = True
        try:
            if self.asked:
                raise KeyboardInterrupt
            yield
        finally:
            self.in_training = False

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        if self.in_training:
            raise KeyboardInterrupt


def _train(
    worker: FoldTrainable, lifecycle: Lifecycle, progress: Progress, ctrl_c: _CtrlC
) -> None:
    """Train a trial to its end, unless the trial or the sweep is stopped before."""
    over = False
    while not over and not lifecycle.out_of_time:
        progress.on_step_end(0, [])
        try:
            with ctrl_c.training():
                result: dict[str, Any] = worker.step()
        except KeyboardInterrupt:
            return  # a resumed sweep trains the trial again
        except Exception as error:  # the user's code may raise anything
            text = traceback.format_exc()
            shown = without_signatures(text)
            lifecycle.crashed(KEY, shown_error(error), shown, signature_in(text))
            lifecycle.lost(KEY)
            break
        held_out = result.pop(HELD_OUT, None)
        if held_out is not None:
            lifecycle.take_held_out(KEY, held_out)
        over = result["done"] or lifecycle.result(KEY, result)
        if over:
            lifecycle.end(KEY, result)
    progress.on_step_end(0, [])
