"""Runs the trials of one space by Ray Tune, and restarts Tune if a result is lost with a node."""

import os
import shutil
import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from ray import tune
from ray.exceptions import ObjectLostError
from ray.tune.experiment import Trial
from rich.console import Console

from foldsweep.errors import UserError
from sweeps.lifecycle import MOST_LOST, Lifecycle
from sweeps.machines import Machines
from sweeps.progress import Progress
from sweeps.resources import Allotment
from sweeps.scheduling import (
    AllEnded,
    End,
    HeldOutTaker,
    LifecycleScheduler,
    LifecycleStopper,
    Places,
    StudySearcher,
    TrialTimeout,
)
from sweeps.settings import SweepSettings
from trainables.trainable import trainable_for
from trainables.trial import Context

MOST_PENDING = 1_000_000
"""Most trials that may wait for a process in Tune; high, since the searcher limits the number."""


def fit(
    lifecycle: Lifecycle,
    context: Context,
    settings: SweepSettings,
    *,
    allotment: Allotment,
    machines: Machines,
    folder: Path,
    console: Console,
) -> bool:
    """Train the trials of the lifecycle; returns whether the sweep was interrupted.

    Tune handles processes that die and tasks that raise, but not a result that is lost with a
    node: this ends Tune, which is then started again.

    Args:
        lifecycle: Provides the trials and records how they end.
        context: Data and settings that all trials share.
        settings: Settings of the sweep.
        allotment: Resources of a trial.
        machines: Nodes that trials run on.
        folder: Folder for Ray's own files, which are not read and are removed at the end.
        console: Console that shows progress.

    Raises:
        UserError: If results are lost with nodes `MOST_LOST` times.
    """
    for _ in range(MOST_LOST):
        try:
            _run(lifecycle, context, settings, allotment, machines, folder, console)
        except RuntimeError as error:
            if not machines.change or not isinstance(error.__cause__, ObjectLostError):
                raise
            lifecycle.give_all_back()
        else:
            is_over = lifecycle.out_of_time or lifecycle.hopeless
            return bool(lifecycle.ledger.trials_left) and not is_over
    raise UserError.of("fitting.results-lost", times=MOST_LOST)


def _run(
    lifecycle: Lifecycle,
    context: Context,
    settings: SweepSettings,
    allotment: Allotment,
    machines: Machines,
    folder: Path,
    console: Console,
) -> None:
    if not lifecycle.ledger.trials_left:
        return
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(MOST_PENDING)  # read once, here
    progress = Progress(lifecycle, console, time_budget=settings.time_budget, machines=machines)
    places = Places(lifecycle)
    searcher = StudySearcher(lifecycle, concurrency=lambda: machines.room)
    stopper = LifecycleStopper(lifecycle)
    keys, interrupted = KeysStayHere(), threading.Event()
    callbacks: list[tune.Callback] = [HeldOutTaker(lifecycle), places, keys, progress]
    if settings.trial_timeout is not None:
        callbacks.append(TrialTimeout(lifecycle, settings.trial_timeout))
    callbacks.append(End(lifecycle, searcher, stopper, interrupted))
    on_ctrl_c = signal.getsignal(signal.SIGINT)

    def hear(number: int, frame: FrameType | None) -> None:
        interrupted.set()
        signal.signal(signal.SIGINT, on_ctrl_c)  # a second Ctrl-C ends this at once

    try:
        signal.signal(signal.SIGINT, hear)
        # not Tuner.fit, which pickles all its arguments for its own restore
        tune.run(
            tune.with_parameters(trainable_for(lifecycle.space.variant), context=context),
            name="ray",
            storage_path=str(folder.resolve()),
            search_alg=searcher,
            scheduler=LifecycleScheduler(lifecycle, machines, places),
            stop=stopper,
            callbacks=callbacks,
            num_samples=-1,
            resources_per_trial={"cpu": allotment.cpus, "gpu": allotment.gpus},
            reuse_actors=True,
            max_failures=0,  # the lifecycle retries trials
            raise_on_failed_trial=False,
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            trial_dirname_creator=_trial_dirname,
            verbose=0,
        )
    except AllEnded:
        pass
    finally:
        signal.signal(signal.SIGINT, on_ctrl_c)
        keys.show()
        progress.stop()
        shutil.rmtree(folder / "ray", ignore_errors=True)


class KeysStayHere(tune.Callback):
    """Hides the driver's S3 keys from Tune until Tune has defined the processes of trials.

    Tune would send the keys to the nodes, which write them into logs that everybody can read. The
    keys are hidden in `os.environ` only: pyarrow's S3 file system reads the C environment.
    """

    NAMES = (
        *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
        *("AWS_SECURITY_TOKEN", "AWS_SESSION_TOKEN"),
    )

    def __init__(self) -> None:
        self._hidden: dict[str, str] = {}

    def setup(self, *args: Any, **info: Any) -> None:
        """Hide the keys before the first trial."""
        self._hidden = {name: os.environ.pop(name) for name in self.NAMES if name in os.environ}
        for name, key in self._hidden.items():
            os.putenv(name, key)  # does not change os.environ

    def on_trial_start(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Restore the keys."""
        self.show()

    def show(self) -> None:
        """Restore the keys in `os.environ`."""
        os.environ.update(self._hidden)


def _trial_dirname(trial: Trial) -> str:
    """Name of Ray's folder of a trial; the default name is as long as the configuration."""
    return str(trial.trial_id)
