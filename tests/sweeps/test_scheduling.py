"""Objects that are passed to Ray Tune; tests/integration tests how Ray Tune uses them."""

import re
from contextlib import nullcontext
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import Mock

import pytest
from ray import cloudpickle
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayActorError, RayTaskError
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from sweeps.lifecycle import Lifecycle
from sweeps.machines import Machines
from sweeps.resources import Allotment
from sweeps.scheduling import (
    AllEnded,
    End,
    HeldOutTaker,
    LifecycleScheduler,
    Places,
    StudySearcher,
    TrialTimeout,
)
from sweeps.settings import SweepSettings
from tests.refusals import said_as


def make_scheduler(
    life: Lifecycle, machines: Machines | None = None, places: Places | None = None
) -> LifecycleScheduler:
    machines = machines or Machines.fixed(Allotment(cpus=1, gpus=0, concurrency=2))
    return LifecycleScheduler(life, machines, places or Places(life))


def test_an_idle_process_is_not_offered_to_a_trial_whose_own_is_starting() -> None:
    """Ray's own scheduler does offer it: the trial then waits for its own process to start."""
    starting = SimpleNamespace(status=Trial.PENDING)
    controller: Any = SimpleNamespace(get_trials=lambda: [starting])
    assert FIFOScheduler().choose_trial_to_run(controller) is starting
    scheduler = make_scheduler(cast(Lifecycle, None))
    assert scheduler.choose_trial_to_run(controller) is None


@pytest.mark.parametrize(
    ("finished", "running", "stopped", "interrupted", "over"),
    [
        (False, False, False, False, False),  # further trials may be asked for
        (True, True, False, False, False),
        (True, False, False, False, True),
        (False, True, True, False, True),
        (False, True, False, True, True),
    ],
)
def test_tune_is_left_when_nothing_is_left_to_do(
    finished: bool, running: bool, stopped: bool, interrupted: bool, over: bool
) -> None:
    life: Any = SimpleNamespace(running={"a": 1} if running else {})
    flag = Event()
    if interrupted:
        flag.set()
    searcher: Any = SimpleNamespace(has_finished=finished)
    end = End(life, searcher, cast(Any, SimpleNamespace(has_stopped=stopped)), flag)
    with pytest.raises(AllEnded) if over else nullcontext():
        end.on_step_end(1, [])


def test_held_out_rows_are_taken_out_of_a_result_before_loggers_see_it() -> None:
    taken: dict[str, bytes] = {}
    life: Any = SimpleNamespace(take_held_out=taken.__setitem__)
    trial = Mock(spec=Trial, trial_id="1")
    for result in ({"epoch": 3}, {"epoch": 9, "held_out": b"rows"}):
        HeldOutTaker(life).on_trial_result(1, [trial], trial, result)
        assert set(result) == {"epoch"}
    assert taken == {"1": b"rows"}


def test_a_trial_that_hangs_is_killed_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, killed, late = [100.0], [], []
    monkeypatch.setattr("sweeps.scheduling.time.monotonic", lambda: now[0])
    monkeypatch.setattr("sweeps.scheduling.ray.kill", killed.append)
    hangs, ends = (
        Mock(spec=Trial, trial_id=i, status=Trial.RUNNING, temporary_state=Mock()) for i in "ab"
    )
    life: Any = SimpleNamespace(
        running={"a": 1, "b": 1}, timed_out=lambda key, seconds: late.append((key, seconds))
    )
    limit = TrialTimeout(life, 10.0)
    for trial in (hangs, ends):
        limit.on_trial_start(1, [], trial)
    now[0] += 9
    limit.on_step_end(1, [])
    assert not killed
    del life.running["b"]
    now[0] += 2
    limit.on_step_end(2, [])
    assert (killed, late) == ([hangs.temporary_state.ray_actor], [("a", 10.0)])
    now[0] += 100
    limit.on_step_end(3, [])
    assert len(killed) == 1


def test_an_attempts_time_begins_again_after_a_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    now, killed = [0.0], []
    monkeypatch.setattr("sweeps.scheduling.time.monotonic", lambda: now[0])
    monkeypatch.setattr("sweeps.scheduling.ray.kill", killed.append)
    trial = Mock(spec=Trial, trial_id="a", status=Trial.RUNNING, temporary_state=Mock())
    limit = TrialTimeout(cast(Lifecycle, SimpleNamespace(running={"a": 1})), 10.0)
    limit.on_trial_start(1, [], trial)
    now[0] = 8.0
    limit.on_trial_start(2, [], trial)
    now[0] = 12.0
    limit.on_step_end(3, [])
    assert not killed


def test_the_lifecycle_is_told_the_signature_of_a_failure(tmp_path: Path) -> None:
    text = "Failure # 1\nRuntimeError: boom\nfoldsweep error 0123456789abcdef\n"
    (tmp_path / "error.txt").write_text(text)
    trial = Mock(spec=Trial, trial_id="a", config={"lr": 1}, error_file=tmp_path / "error.txt")
    crashes: list[tuple[str | None, ...]] = []
    life: Any = SimpleNamespace(crashed=lambda *said: crashes.append(said))
    make_scheduler(life).on_trial_error(None, trial)
    text = "Failure # 1\nRuntimeError: boom\n"
    assert crashes == [("a", "RuntimeError: boom", text, "0123456789abcdef")]


def test_the_search_goes_on_while_a_trial_may_still_be_replaced() -> None:
    life: Any = SimpleNamespace(
        running={"a": 1}, hopeless=False, out_of_time=False, ledger=SimpleNamespace(may_ask=False)
    )
    searcher = StudySearcher(life, concurrency=lambda: 2)
    assert searcher.suggest("b") is None
    assert not searcher.has_finished
    life.running.clear()
    assert searcher.suggest("b") == Searcher.FINISHED
    assert searcher.has_finished


# Machines ---------------------------------------------------------------------------------------


class Cluster(Machines):
    """A cluster of two nodes, one of which is lost."""

    def __init__(self) -> None:
        super().__init__(SweepSettings())

    @property
    def change(self) -> bool:
        return True

    def is_lost(self, key: str | None) -> bool:
        return key in (None, "lost")


DIED = ActorDiedError()
UNREACHABLE = ActorUnavailableError("connection reset", None)
PREEMPTED = RayActorError(preempted=True)
RAISED = RayTaskError("train", "Traceback\nRuntimeError: boom", RuntimeError("boom"))


@pytest.mark.parametrize(
    ("error", "node", "loss"),
    [
        (DIED, "lost", said_as("scheduling.machine-lost", node="of lost")),
        (DIED, "alive", None),  # out of memory, or a segmentation fault
        (DIED, None, said_as("scheduling.not-started")),
        (UNREACHABLE, "alive", said_as("scheduling.machine-lost", node="of alive")),
        (PREEMPTED, "alive", said_as("scheduling.machine-lost", node="of alive")),
        (RAISED, "lost", None),
        (None, "lost", None),
    ],
)
def test_a_lost_machine_is_told_from_a_process_that_dies_of_what_it_did(
    error: Exception | None, node: str | None, loss: re.Pattern[str] | None, tmp_path: Path
) -> None:
    said: list[tuple[Any, ...]] = []
    life: Any = SimpleNamespace(
        crashed=lambda *crash: said.append(("crashed", *crash)),
        machine_lost=lambda *lost: said.append(("lost", *lost)),
    )
    (tmp_path / "error.txt").write_text(f"Failure # 1\n{error}\n")
    if error is not None:
        (tmp_path / "error.pkl").write_bytes(cloudpickle.dumps(error))
    trial = Mock(
        spec=Trial,
        trial_id="a",
        error_file=tmp_path / "error.txt",
        pickled_error_file=tmp_path / "error.pkl",
    )
    places = Places(life)
    if node is not None:
        places.of["a"] = node, f"of {node}"
    make_scheduler(life, Cluster(), places).on_trial_error(None, trial)
    ((event, key, why, *_),) = said
    assert (event, key) == ("lost" if loss else "crashed", "a")
    assert loss is None or loss.fullmatch(why)
    assert places.of == {}


def test_a_local_ray_loses_no_machine(tmp_path: Path) -> None:
    """A local Ray would be lost with its machine, so an unreachable process has died."""
    crashes: list[Any] = []
    life: Any = SimpleNamespace(crashed=lambda *said: crashes.append(said))
    (tmp_path / "error.pkl").write_bytes(cloudpickle.dumps(UNREACHABLE))
    trial = Mock(
        spec=Trial, trial_id="a", error_file=None, pickled_error_file=tmp_path / "error.pkl"
    )
    make_scheduler(life).on_trial_error(None, trial)
    assert len(crashes) == 1


def test_a_trial_is_kept_off_nodes_that_cannot_be_used() -> None:
    trial = Mock(spec=Trial)
    cluster = Cluster()
    scheduler = make_scheduler(cast(Lifecycle, None), cluster)
    scheduler.on_trial_add(None, trial)
    trial.update_resources.assert_not_called()
    cluster._allotment = Allotment(cpus=2, gpus=0.5, concurrency=1)
    cluster.avoided = ("a1", "b2")
    scheduler.on_trial_add(None, trial)
    (request,) = trial.update_resources.call_args.args
    assert request.bundles == [{"CPU": 2.0, "GPU": 0.5}]
    assert request._kwargs == {"bundle_label_selector": [{"ray.io/node-id": "!in(a1,b2)"}]}
