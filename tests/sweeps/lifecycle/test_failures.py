import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState

from foldsweep import names
from foldsweep.errors import UserError
from search_spaces.space import SearchSpace
from sweeps.lifecycle import MOST_LOST, REFUSED_TO_GIVE_UP
from sweeps.outcomes import failure_of
from sweeps.scheduling import StudySearcher
from sweeps.tracking.spool import SPOOL_FILE, TrackingTarget, read_records
from sweeps.tracking.tracker import Tracker
from tests.refusals import refused, text
from tests.sweeps.lifecycle.recorder import EQUAL, MakeLifecycle, Recorder, result, run


def test_runs_of_trials_that_ended_just_before_a_kill_are_closed(
    make_lifecycle: MakeLifecycle,
) -> None:
    first = make_lifecycle()
    run(first, "a")
    for key in "bc":
        first.start(key)
    first.crashed("b", "broken")
    first.fail("b")
    recorder = Recorder(still_open={0, 1, 2})
    again = make_lifecycle(tracker=recorder, resume=True)
    assert recorder.events == [
        ("tags", 0),
        ("end", 0, "FINISHED"),
        ("tags", 1),
        ("end", 1, "FAILED"),
    ]
    assert recorder.tags == {
        0: {"foldsweep.state": "COMPLETE"},
        1: {
            "foldsweep.state": "FAIL",
            "foldsweep.error": "broken",
            "foldsweep.failure": "crashed",
        },
    }
    assert again.ended == {TrialState.COMPLETE: 1, TrialState.FAIL: 1}
    assert again.tally.ended_here == 0
    config = again.start("c")
    assert config is not None
    assert config["trial_number"] == 2


@pytest.fixture
def open_tracker(tmp_path: Path) -> Iterator[Callable[[], Tracker]]:
    """Opens trackers of one folder, for a server that does not exist."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    target = TrackingTarget(
        tracking_uri=f"http://127.0.0.1:{port}",
        experiment="digits",
        sweep="first/small",
        study_storage="study.journal",
        study_name="first/small",
    )
    opened: list[Tracker] = []

    def make() -> Tracker:
        opened.append(Tracker(tmp_path / "small", target))
        return opened[-1]

    yield make
    for tracker in opened:
        tracker.close(wait_s=0)


def test_a_repeated_trial_is_in_the_spool_once(
    make_lifecycle: MakeLifecycle, open_tracker: Callable[[], Tracker], tmp_path: Path
) -> None:
    """With a real tracker; the first driver dies between the metrics and the end of its trial."""
    tracker = open_tracker()
    tracker.start_sweep("first/small", {}, {})
    first = make_lifecycle(tracker=tracker)
    first.start("a")
    first.result("a", result(0.7, epoch=3))
    first.ledger.complete = None  # type: ignore[method-assign,assignment]
    with pytest.raises(TypeError):
        first.end("a", result(0.75, since=3))
    tracker._spool.close()
    tracker._uploader.terminate()
    tracker._uploader.wait()
    tracker._lock.release()

    tracker = open_tracker()
    tracker.start_sweep("first/small", {}, {})
    assert tracker.open_trials() == {0}
    again = make_lifecycle(tracker=tracker, resume=True)
    again.start("x")
    again.result("x", result(0.7, epoch=3))
    again.end("x", result(0.75, since=3))
    assert tracker.open_trials() == set()

    records = [r for _, r in read_records(tmp_path / "small" / SPOOL_FILE) if r.get("run") == "0"]
    points = [tuple(p[:3]) for r in records if r["op"] == "metrics" for p in r["points"]]
    assert len(points) == len(set(points))
    assert [step for key, _, step in points if key == "val_accuracy"] == list(range(1, 10))
    assert [value for key, value, _ in points if key == "fold_0/val_accuracy"] == [0.74]
    assert [r["op"] for r in records if r["op"] != "metrics"] == ["start", "start", "tags", "end"]
    assert records[-1]["status"] == "FINISHED"


def test_a_checkpoint_past_a_rung_makes_up_for_its_report(make_lifecycle: MakeLifecycle) -> None:
    """A kill occurred between the checkpoint and the report of the preceding rung."""
    life = make_lifecycle()
    life.start("a")
    life.end("a", result(0.75))
    assert set(life.ledger.frozen(0).intermediate_values) == {3}


def test_what_cannot_go_on_touches_no_run(
    make_lifecycle: MakeLifecycle, recorder: Recorder, storage: InMemoryStorage
) -> None:
    run(make_lifecycle(), "a")
    recorder.events.clear()
    with refused("ledger.study-taken"):
        make_lifecycle()
    assert recorder.events == []


def test_refused_combinations_are_counted_and_replaced(
    make_lifecycle: MakeLifecycle, recorder: Recorder
) -> None:
    """Either the driver or a worker may refuse them; a resumed sweep continues the count."""
    life = make_lifecycle(trials=4)
    run(life, "a")
    for key in ("b", "c"):
        assert life.start(key) is not None
        life.end(key, {"failed": ["refused", "block 1 leaves no image", ""], "done": True})
    assert (life.ledger.budget, life.ledger.trials_left) == (6, 3)
    assert recorder.tags[1]["foldsweep.failure"] == "refused"
    assert recorder.tags[1]["foldsweep.error"] == "block 1 leaves no image"
    again = make_lifecycle(trials=4, resume=True)
    assert (again.ledger.budget, again.failures) == (6, {"refused": 2})
    for key in ("d", "e", "f"):
        run(again, key)
    assert again.start("g") is None
    assert again.ended == {TrialState.COMPLETE: 4, TrialState.FAIL: 2}
    assert not again.hopeless


def test_a_space_of_which_nothing_can_be_trained_is_given_up(
    make_lifecycle: MakeLifecycle,
    make_space: Callable[..., SearchSpace],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Trials that never start count too, for any `--trials`; a resumed sweep counts from zero."""
    life = make_lifecycle(trials=300)
    for _ in range(REFUSED_TO_GIVE_UP - 1):
        life.start("a")
        life.end("a", {"failed": ["refused", "no image is left", ""], "done": True})
        assert not life.hopeless
    life.start("a")
    life.end("a", {"failed": ["refused", "no image is left", ""], "done": True})
    assert life.hopeless
    assert life.start("b") is None
    again = make_lifecycle(trials=300, resume=True)
    assert not again.hopeless

    def refuse(*_: Any, **__: Any) -> Any:
        raise UserError("nothing suits")

    monkeypatch.setattr(SearchSpace, "complete", refuse)
    assert again.start("c") is None
    assert again.hopeless
    assert again.ended == {TrialState.FAIL: 2 * REFUSED_TO_GIVE_UP}


def test_a_grid_has_no_replacements(
    make_lifecycle: MakeLifecycle, make_space: Callable[..., SearchSpace]
) -> None:
    grid = {"hidden_layers": [1, 2], "embedding": [1, 2]}
    space = make_space(**{**EQUAL, "domains": {}, "grid": grid})
    life = make_lifecycle(space=space, sampler="grid", trials=None)
    run(life, "a")
    run(life, "b")
    assert life.start("c") is None
    assert life.ended == {TrialState.COMPLETE: 2, TrialState.FAIL: 2}


def test_a_trial_that_took_too_long_says_so_and_not_that_its_process_died(
    make_lifecycle: MakeLifecycle, recorder: Recorder
) -> None:
    life = make_lifecycle()
    life.start("a")
    life.timed_out("a", 2.5)
    life.crashed("a", "the trial's process died", "ActorDiedError")
    life.fail("a")
    assert life.failures == {"timed out": 1}
    assert recorder.tags[0]["foldsweep.failure"] == "timed out"
    assert recorder.tags[0]["foldsweep.error"] == text("attempts.timed-out", seconds=2.5)
    assert not life.attempts.error_folder.exists()


# Crashes ----------------------------------------------------------------------------------------


def test_a_trial_whose_process_dies_is_tried_again_as_often_as_it_may(
    make_lifecycle: MakeLifecycle, recorder: Recorder
) -> None:
    life = make_lifecycle(max_failures=2)
    first = life.start("a")
    for key in "ab":
        life.crashed(key, "the process died")
        life.lost(key)
        assert life.start({"a": "b", "b": "c"}[key]) == {**(first or {}), "reported_at": 0}
    life.crashed("c", "the process died")
    life.lost("c")
    assert life.ledger.frozen(0).state == TrialState.FAIL
    assert [event for event in recorder.events if event[0] == "end"] == [("end", 0, "FAILED")]
    second = life.start("d")
    assert second is not None
    assert second["trial_number"] == 1
    life.crashed("d", "the process died")
    life.lost("d")
    life.start("e")
    life.end("e", result())
    assert life.ledger.frozen(1).state == TrialState.COMPLETE


def test_the_next_attempt_knows_what_the_last_one_failed_of(
    make_lifecycle: MakeLifecycle,
) -> None:
    """Also if a process died in between without an error; other trials do not get the error."""
    life = make_lifecycle(max_failures=3)
    life.start("a")
    life.crashed("a", "RuntimeError: boom", "boom", "0123")
    life.lost("a")
    assert (life.start("b") or {})["last_error"] == "0123"
    life.crashed("b", "the trial's process died")
    life.lost("b")
    again = life.start("c")
    assert again is not None
    assert (again["trial_number"], again["last_error"]) == (0, "0123")
    assert "last_error" not in (life.start("d") or {})


def test_what_took_too_long_or_would_fail_again_is_not_tried_again(
    make_lifecycle: MakeLifecycle,
) -> None:
    life = make_lifecycle(max_failures=3)
    life.start("a")
    life.timed_out("a", 2.5)
    life.crashed("a", "the trial's process died", "ActorDiedError")
    life.lost("a")
    life.start("b")
    life.end("b", {"failed": ["crashed", "RuntimeError: boom", ""], "done": True})
    assert [t.state for t in life.ledger.ended()] == 2 * [TrialState.FAIL]
    assert life.failures == {"timed out": 1, "crashed": 1}
    assert (life.start("c") or {})["trial_number"] == 2


def test_ray_hears_that_all_is_asked_for_only_when_nothing_runs(
    make_lifecycle: MakeLifecycle,
) -> None:
    """If Ray were told earlier, the last trials could not be tried again."""
    life = make_lifecycle(max_failures=1, trials=2)
    searcher = StudySearcher(life, concurrency=lambda: 3)
    searcher.suggest("a")
    searcher.suggest("b")
    assert searcher.suggest("c") is None
    life.crashed("b", "the process died")
    searcher.on_trial_complete("b", error=True)
    again = searcher.suggest("c")
    assert isinstance(again, dict)
    assert again["trial_number"] == 1
    for key in "ac":
        searcher.on_trial_complete(key, result())
    assert searcher.suggest("d") == "FINISHED"


# Machines ---------------------------------------------------------------------------------------


def test_a_trial_that_loses_its_machine_has_not_crashed(make_lifecycle: MakeLifecycle) -> None:
    life = make_lifecycle(max_failures=0)
    life.start("a")
    life.machine_lost("a", "lost with its machine, b (10.0.0.2)")
    life.lost("a")
    assert (life.running, life.ended.total(), life.attempts.crashes.total()) == ({}, 0, 0)
    error = text("attempts.lost-once-more", what="lost with its machine, b (10.0.0.2)")
    assert life.attempts.last_error == text("attempts.of-trial", trial=0, error=error)
    assert (life.start("again") or {})["trial_number"] == 0
    life.end("again", result())
    assert life.ended[TrialState.COMPLETE] == 1


def test_a_trial_that_brings_its_machines_down_ends(make_lifecycle: MakeLifecycle) -> None:
    life = make_lifecycle(max_failures=0)
    for attempt in range(MOST_LOST):
        assert (life.start(str(attempt)) or {})["trial_number"] == 0
        life.machine_lost(str(attempt), "lost with its machine, b (10.0.0.2)")
        life.lost(str(attempt))
    trial = life.ledger.frozen(0)
    what = "lost with its machine, b (10.0.0.2)"
    said = text("attempts.lost-too-often", what=what, times=MOST_LOST)
    assert (trial.state, failure_of(trial)[1]) == (TrialState.FAIL, said)


def test_a_trial_that_took_too_long_is_not_tried_again_for_its_machine(
    make_lifecycle: MakeLifecycle,
) -> None:
    life = make_lifecycle(max_failures=9)
    life.start("a")
    life.timed_out("a", 2.5)
    life.machine_lost("a", "lost with its machine, b (10.0.0.2)")
    life.lost("a")
    assert life.failures == {names.TIMED_OUT: 1}


def test_a_failure_that_was_made_good_is_not_the_last_error(
    make_lifecycle: MakeLifecycle,
) -> None:
    life = make_lifecycle(max_failures=1)
    for key, error in (("a", "boom"), ("b", "out of memory")):
        life.start(key)
        life.crashed(key, error)
    life.fail("a")
    assert life.remaining_error == text("attempts.of-trial", trial=1, error="out of memory")
    life.lost("b")
    life.start("c")
    life.end("c", result())
    assert life.remaining_error == text("attempts.of-trial", trial=0, error="boom")


def test_a_trial_runs_once_it_has_a_process_and_its_node_is_logged(
    make_lifecycle: MakeLifecycle, recorder: Recorder
) -> None:
    life = make_lifecycle()
    life.start("a")
    life.start("b")
    assert life.num_training == 0
    life.placed("a")
    life.placed("a", "b (10.0.0.2)")
    life.placed("gone", "b (10.0.0.2)")
    assert life.num_training == 1
    assert [event for event in recorder.events if event[0] == "node"] == [
        ("node", 0, "b (10.0.0.2)")
    ]


def test_all_trials_are_given_back_where_what_ran_them_has_ended(
    make_lifecycle: MakeLifecycle,
) -> None:
    life = make_lifecycle(max_failures=0)
    for key in "ab":
        life.start(key)
    life.give_all_back()
    assert life.running == {}
    again = [life.start(key) for key in "ab"]
    assert {config["trial_number"] for config in again if config} == {0, 1}
