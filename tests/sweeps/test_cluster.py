"""Ray is started in the background, and never left behind."""

import os
import signal
import threading

import pytest
import ray

from foldsweep.errors import UserError
from sweeps.cluster import Cluster
from sweeps.settings import SweepSettings


def ray_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "ray"]


def test_a_local_ray_is_up_on_entering_and_gone_on_leaving() -> None:
    cluster = Cluster(SweepSettings(cpus_per_trial=0.5, concurrency=1))
    cluster.start()
    with cluster as allotment:
        assert ray.is_initialized()
        assert (allotment.cpus, allotment.concurrency) == (0.5, 1)
        started = ray._private.worker._global_node.all_processes
        assert set(started) == {"gcs_server", "raylet"}
        if hasattr(os, "SCHED_BATCH"):
            policy = ray.get(ray.remote(lambda: os.sched_getscheduler(0)).remote())
            assert policy == os.SCHED_BATCH
    assert not ray.is_initialized()
    assert not ray_threads()


def test_sigterm_stays_with_whoever_took_it_before_ray_began(
    request: pytest.FixtureRequest,
) -> None:
    """Ray's own handler prints a stack trace and ends the program."""
    caught: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: caught.append(number))
    request.addfinalizer(lambda: signal.signal(signal.SIGTERM, before))
    with Cluster(SweepSettings(concurrency=1)):
        os.kill(os.getpid(), signal.SIGTERM)
    assert caught == [signal.SIGTERM]


def test_a_ray_that_is_not_wanted_after_all_is_ended() -> None:
    cluster = Cluster(SweepSettings())
    cluster.start()
    cluster.stop()
    assert not ray.is_initialized()
    assert not ray_threads()


def test_what_goes_wrong_in_the_background_is_said_on_entering() -> None:
    cluster = Cluster(SweepSettings(address="127.0.0.1:1"))
    cluster.start()
    with pytest.raises(UserError, match="--address 127.0.0.1:1 cannot be used"):
        cluster.__enter__()
    cluster.stop()
    assert not ray_threads()


def test_more_than_there_is_ends_ray() -> None:
    with (
        pytest.raises(UserError, match="--cpus-per-trial 1e"),
        Cluster(SweepSettings(cpus_per_trial=1e6)),
    ):
        pass
    assert not ray.is_initialized()
