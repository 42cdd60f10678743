"""Starts a local Ray, or joins a cluster, without Ray's own log output."""

import atexit
import concurrent.futures.thread  # noqa: F401  its hooks of forks, before Ray forks
import contextlib
import logging
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError

from foldsweep.errors import UserError, first_line
from foldsweep.programs import console
from foldsweep.texts import text
from sweeps.channel import tell
from sweeps.head import HeadWatch, check_is_node, check_reachable
from sweeps.machines import LOOK_EVERY_S, Machines, sent_by_value
from sweeps.probe import prepare_where_possible
from sweeps.processors import available_cpus
from sweeps.resources import Allotment, Capacity, allot
from sweeps.session import Session
from sweeps.settings import SweepSettings
from sweeps.worker import HOOK, variables

STARTED_WITHIN_S = 180.0
STOPPED_WITHIN_S = 20.0

RAY_ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # the tracker logs
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",  # the study is the state
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_RESULT_BUFFER_LENGTH": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # `sweeps.fitting` has its own
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_prestart_worker_first_driver": "0",  # Tune's actors want processes of their own
}

QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}


class Cluster:
    """Ray to run trials on: a cluster to join, or a local Ray that ends with the program.

    `start` returns at once. Entering the context waits until Ray runs and returns the resources of
    a trial; from then on, `machines` are Ray's nodes.

    Ray is started in a separate thread: Linux ends Ray's processes together with the thread that
    started them, and Ray does not replace the program's signal handlers.

    Args:
        settings: Settings of the sweep.
        beside: Folders of modules that workers may import, besides those of space files.
    """

    def __init__(self, settings: SweepSettings, beside: Sequence[str] = ()):
        self._settings = settings
        self._beside = beside
        self._thread: threading.Thread | None = None
        self._running = threading.Event()
        self._enough = threading.Event()
        self._error: BaseException | None = None
        self._session: Session | None = None
        self.machines = Machines(settings)

    def start(self) -> None:
        """Start Ray in a thread; errors are raised on entering the context."""
        os.environ.update(RAY_ENVIRONMENT)
        _schedule_as_batch()
        self._thread = threading.Thread(target=self._live, name="ray", daemon=True)
        self._thread.start()
        atexit.register(self.stop)

    def refuse(self) -> None:
        """Raise the error of Ray's thread, if any, before files of a sweep are created in vain."""
        if self._error is not None:
            self.stop()
            raise self._error

    def __enter__(self) -> Allotment:
        """Wait until Ray runs; returns the resources of a trial.

        Raises:
            UserError: If the cluster does not answer or has fewer resources than a trial needs.
        """
        if self._thread is None:
            self.start()
        try:
            if not self._running.wait(STARTED_WITHIN_S):
                raise UserError.of(
                    "cluster.not-started-in-time", where=self._where, seconds=STARTED_WITHIN_S
                )
            self.refuse()
            return self._allotment()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        self.stop()
        if kind is None:
            self.refuse()

    def stop(self) -> None:
        """End the local Ray, or leave the cluster."""
        self._enough.set()
        if self._thread is not None:
            self._thread.join(STOPPED_WITHIN_S)

    def keep_logs_in(self, path: Path) -> None:
        """Have the ends of Ray's logs added to a file, unless Ray ends normally."""
        if self._session is not None:
            self._session.keep_logs_in(path)

    def _allotment(self) -> Allotment:
        logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # `Progress` shows failures
        if self._settings.address is not None:
            allotment = self.machines.begin()
            for line in self.machines.news():
                console.print(line)
            return allotment
        resources = ray.cluster_resources()
        import torch  # takes seconds, so Ray is started first

        # a CPU build of torch cannot use the GPUs that Ray sees
        gpus = resources.get("GPU", 0) if torch.backends.cuda.is_built() else 0
        here = Capacity(node="this machine", cpus=resources.get("CPU", 0), gpus=gpus)
        allotment = allot(self._settings, [here])
        self.machines = Machines.fixed(allotment)
        return allotment

    def _live(self) -> None:
        try:
            self._init()
        except BaseException as error:  # re-raised in `__enter__`
            self._error = error
        self._running.set()
        if self._settings.address is None or self._error is not None:
            self._enough.wait()
        else:
            try:
                self._look_after_nodes()
            except Exception as error:  # our own fault, raised by `__exit__`
                self._error = error
                self._enough.wait()
        tell(ray={})
        ray.shutdown()
        if self._session is not None:
            self._session.end()

    def _look_after_nodes(self) -> None:
        """Track the nodes of a cluster until `stop` is called."""
        address = ray.get_runtime_context().gcs_address
        watch = HeadWatch(address, lambda what: tell(gone=what))
        try:
            while not self._enough.wait(LOOK_EVERY_S):
                # Ray raises these while its head node is away, which `HeadWatch` reports
                with contextlib.suppress(RayError, OSError, RuntimeError):
                    self.machines.look()
        finally:
            watch.stop()

    def _init(self) -> None:
        address = self._settings.address
        check_reachable(address)
        check_is_node(address)
        of_files = (os.path.dirname(file) for file in self._settings.space_files)
        folders = list(dict.fromkeys([*of_files, *self._beside]))
        env: dict[str, Any] = {"env_vars": variables(folders)}
        try:
            if address is None:
                self._init_local({**env, "worker_process_setup_hook": HOOK})
            else:
                with sent_by_value():
                    hook = {"worker_process_setup_hook": prepare_where_possible}
                    ray.init(address, runtime_env={**env, **hook}, **QUIET)
                self.machines.look()
        except UserError:
            raise
        # a socket, a port, a full disk, a time limit, an exit: Ray has no common exception
        except (Exception, SystemExit) as error:
            reason = first_line(error)
            if address and "RAY_AUTH_MODE" not in os.environ:
                # a head node requires a token once its user has one; a driver sends it on request
                reason = text("cluster.may-require-token", why=reason)
            elif address and isinstance(error, ConnectionError):
                reason = text("cluster.may-have-other-token", why=reason)
            raise UserError.of("cluster.ray-unusable", where=self._where, why=reason) from None

    def _init_local(self, env: dict[str, Any]) -> None:
        self._session = Session()
        self._session.begin()
        try:
            ray.init(
                address="local",  # RAY_ADDRESS is ignored
                num_cpus=available_cpus(),
                include_dashboard=False,
                runtime_env=env,
                **QUIET,
            )
        finally:
            self._session.begun()
        self._session.end_unused()
        tell(ray=self._session.processes())

    @property
    def _where(self) -> str:
        address = self._settings.address
        return f"--address {address}" if address else text("cluster.local")


def _schedule_as_batch() -> None:
    """Schedule this process and its children as batch work (Linux `SCHED_BATCH`).

    A batch process that wakes up does not interrupt a running one. Otherwise Ray's processes,
    which poll their queues, would interrupt training hundreds of times a second and so evict its
    CPU caches.
    """
    if hasattr(os, "SCHED_BATCH"):
        with contextlib.suppress(OSError):  # a sandbox may forbid it
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
