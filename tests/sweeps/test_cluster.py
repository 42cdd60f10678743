"""Ray is started in the background, and is never left running."""

import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import nullcontext, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
import ray
from ray.exceptions import RpcError

from sweeps.cluster import Cluster
from sweeps.settings import SweepSettings
from tests.refusals import refused, text

ROOT = Path(__file__).parents[2]
HOOKS = """
import os
import sweeps.cluster
added = []
os.register_at_fork = lambda **hooks: added.append(hooks.get("after_in_parent"))
import sweeps.launch
print([hook for hook in added if hook is not None])
"""


def ray_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "ray"]


def children_of_ray() -> list[str]:
    """Return the Python files of Ray that run in children of this process."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (path / "cmdline").read_text("utf-8").split("\0")
            if f"PPid:\t{os.getpid()}\n" in (path / "status").read_text("utf-8"):
                found += [word for word in words if re.search(r"/ray/.*\.py$", word)]
    return found


@pytest.mark.slow
def test_a_local_ray_is_up_on_entering_and_gone_on_leaving() -> None:
    cluster = Cluster(SweepSettings(cpus_per_trial=0.5, concurrency=1))
    cluster.start()
    with cluster as allotment:
        assert ray.is_initialized()
        assert (allotment.cpus, allotment.concurrency) == (0.5, 1)
        assert cluster._session is not None
        session = cluster._session
        assert set(session.processes()) == {"gcs_server", "raylet"}
        assert os.path.isdir(f"{session.folder}/ray/session_latest/sockets")
        assert "RAY_TMPDIR" not in os.environ
        assert children_of_ray() == []
        if hasattr(os, "SCHED_BATCH"):
            policy = ray.get(ray.remote(lambda: os.sched_getscheduler(0)).remote())
            assert policy == os.SCHED_BATCH
    assert not ray.is_initialized()
    assert not ray_threads()


@pytest.mark.slow
def test_sigterm_stays_with_whoever_took_it_before_ray_began(
    request: pytest.FixtureRequest,
) -> None:
    """Ray's own handler would print a stack trace and end the program."""
    caught: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: caught.append(number))
    request.addfinalizer(lambda: signal.signal(signal.SIGTERM, before))
    with Cluster(SweepSettings(concurrency=1)):
        os.kill(os.getpid(), signal.SIGTERM)
    assert caught == [signal.SIGTERM]


@pytest.mark.slow
def test_a_ray_that_is_not_wanted_after_all_is_ended() -> None:
    cluster = Cluster(SweepSettings())
    cluster.start()
    cluster.stop()
    assert not ray.is_initialized()
    assert not ray_threads()


def test_what_goes_wrong_in_the_background_is_said_on_entering() -> None:
    cluster = Cluster(SweepSettings(address="127.0.0.1:1"))
    cluster.start()
    with refused("head.unreachable", address="127.0.0.1:1"):
        cluster.__enter__()
    cluster.stop()
    assert not ray_threads()


@pytest.mark.slow
def test_more_than_there_is_ends_ray() -> None:
    with (
        refused("resources.more-than-available", option="--cpus-per-trial", wanted=1e6),
        Cluster(SweepSettings(cpus_per_trial=1e6)),
    ):
        pass
    assert not ray.is_initialized()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Exception("The current node timed out during startup."), "timed out during startup"),
        (OSError("AF_UNIX path length cannot exceed 107 bytes: /x"), "AF_UNIX path length"),
        (ray.exceptions.RuntimeEnvSetupError("no agent"), "runtime environment"),
        (AssertionError(), "AssertionError"),
        (SystemExit(1), "1"),
    ],
)
def test_whatever_ray_fails_to_start_with_is_one_line(
    error: BaseException, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**options: object) -> None:
        assert len(os.environ["RAY_TMPDIR"]) <= 36
        raise error

    monkeypatch.setattr(ray, "init", fail)
    with refused("cluster.ray-unusable", where=text("cluster.local")) as caught:
        Cluster(SweepSettings()).__enter__()
    assert said in str(caught.value.values["why"])
    assert "\n" not in str(caught.value)
    assert not ray_threads()


@pytest.mark.parametrize(
    ("mode", "why"),
    [
        (None, text("cluster.may-require-token", why="no cluster")),
        ("token", text("cluster.may-have-other-token", why="no cluster")),
    ],
)
def test_a_cluster_that_takes_no_driver_may_want_another_token(
    mode: str | None, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*address: object, **options: object) -> None:
        raise ConnectionError("no cluster")

    monkeypatch.setattr(ray, "init", fail)
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    if mode is not None:
        monkeypatch.setenv("RAY_AUTH_MODE", mode)
    with refused("cluster.ray-unusable", why=why):
        Cluster(SweepSettings(address="auto")).__enter__()
    assert not ray_threads()


@pytest.mark.parametrize("error", [KeyError("our own"), RpcError("the head node is away")])
def test_a_mistake_of_ours_about_nodes_is_shown_at_the_end(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Errors of Ray while its head node is away are not shown."""
    cluster = Cluster(SweepSettings(address="auto"))
    looks: list[int] = []
    seen = threading.Event()

    def look() -> None:
        looks.append(1)
        if len(looks) > 1:  # the first call belongs to the start
            seen.set()
            raise error

    machines: Any = SimpleNamespace(look=look, begin=lambda: None, news=lambda: [])
    monkeypatch.setattr(cluster, "machines", machines)
    monkeypatch.setattr("sweeps.cluster.LOOK_EVERY_S", 0.001)
    monkeypatch.setattr("sweeps.cluster.HeadWatch", Mock())
    for name in ("init", "shutdown", "get_runtime_context"):
        monkeypatch.setattr(ray, name, Mock())
    with pytest.raises(KeyError) if isinstance(error, KeyError) else nullcontext(), cluster:
        seen.wait()
    assert not ray_threads()


def test_a_start_that_takes_for_ever_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    late = threading.Event()
    monkeypatch.setattr(ray, "init", lambda **options: late.wait())
    monkeypatch.setattr("sweeps.cluster.STARTED_WITHIN_S", 0.0)
    monkeypatch.setattr("sweeps.cluster.STOPPED_WITHIN_S", 0.0)
    cluster = Cluster(SweepSettings())
    with refused("cluster.not-started-in-time", where=text("cluster.local"), seconds=0.0):
        cluster.__enter__()
    late.set()
    for thread in ray_threads():
        thread.join()


def test_a_local_ray_has_the_processors_that_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, object] = {}
    monkeypatch.setattr(ray, "init", lambda **options: given.update(options))
    monkeypatch.setattr("sweeps.cluster.available_cpus", lambda: 3)
    cluster = Cluster(SweepSettings())
    cluster.start()
    cluster.stop()
    assert given["num_cpus"] == 3


@pytest.mark.slow
def test_nothing_is_hooked_to_forks_while_ray_starts() -> None:
    """A hook that is added in the middle of a fork releases a lock that nobody holds."""
    done = subprocess.run(
        [sys.executable, "-c", HOOKS], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
