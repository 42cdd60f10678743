"""Starts Ray, or joins a cluster, quietly."""

import logging
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import ray
import torch

from sweeps.resources import Allotment, allot
from sweeps.settings import SweepSettings
from trainables.errors import UserError

REACHED_WITHIN_S = 5.0

RAY_ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # the tracker logs
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",  # the study is the state
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_RESULT_BUFFER_LENGTH": "1",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


@contextmanager
def ray_cluster(settings: SweepSettings) -> Iterator[Allotment]:
    """A Ray to run trials on, and what each trial gets of it; a Ray started here ends here.

    Raises:
        UserError: If the cluster does not answer or has less than a trial wants.
    """
    os.environ.update(RAY_ENVIRONMENT)
    _check_reachable(settings.address)
    try:
        ray.init(
            address=settings.address or "local",  # whatever RAY_ADDRESS says
            include_dashboard=False if settings.address is None else None,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        where = f"--address {settings.address}" if settings.address else "a local Ray"
        reason = str(error).strip().splitlines()[0]
        if settings.address and "RAY_AUTH_MODE" not in os.environ:
            # a head node wants its token as soon as its user has one, a driver sends it if told to
            reason += "; if the cluster wants a token, set RAY_AUTH_MODE=token"
        raise UserError(f"{where} cannot be used: {reason}") from None
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # progress shows what fails
    try:
        resources = ray.cluster_resources()
        # a CPU build of torch cannot use the GPUs that Ray sees
        gpus = resources.get("GPU", 0) if torch.backends.cuda.is_built() else 0
        yield allot(settings, cpus=resources.get("CPU", 0), gpus=gpus)
    finally:
        ray.shutdown()


def _check_reachable(address: str | None) -> None:
    """Ask a head node whether it is there: Ray itself would try for minutes, noisily."""
    found = re.fullmatch(r"\[?([^\[\]/]+)\]?:(\d+)", address or "")
    if found is None:
        return
    try:
        socket.create_connection((found[1], int(found[2])), REACHED_WITHIN_S).close()
    except (OSError, OverflowError) as error:
        raise UserError(
            f"--address {address} cannot be used: {error}; is Ray's head node running there?"
        ) from None
