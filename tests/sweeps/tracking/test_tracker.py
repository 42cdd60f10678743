import math
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweeps.mirror import Mirror
from sweeps.outages import Outages, ServiceLost
from sweeps.tracking import tracker as tracker_module
from sweeps.tracking.spool import (
    SPOOL_FILE,
    Progress,
    TrackingTarget,
    is_closed,
    read_records,
    write_progress,
)
from sweeps.tracking.tracker import LOG_FILE, Tracker
from tests.refusals import refused


@pytest.fixture
def target() -> TrackingTarget:
    """A server that does not exist: all records stay in the spool."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    return TrackingTarget(
        tracking_uri=f"http://127.0.0.1:{port}",
        experiment="digits",
        sweep="first/cnn_ws_aux",
        study_storage="study.journal",
        study_name="first/cnn_ws_aux",
    )


@pytest.fixture
def tracker(tmp_path: Path, target: TrackingTarget) -> Iterator[Tracker]:
    tracker = Tracker(tmp_path, target)
    yield tracker
    tracker.close(wait_s=0)


def records(folder: Path, op: str) -> list[dict]:
    return [record for _, record in read_records(folder / SPOOL_FILE) if record["op"] == op]


def points(folder: Path, run: str) -> list[tuple]:
    found = [record["points"] for record in records(folder, "metrics") if record["run"] == run]
    return [(key, value, step) for part in found for key, value, step, _ in part]


def epochs(first: int, last: int) -> list[tuple[str, float, int, int]]:
    return [("val_accuracy", epoch / 10, epoch, 1000 + epoch) for epoch in range(first, last + 1)]


def test_each_call_is_one_record(tmp_path: Path, tracker: Tracker) -> None:
    tracker.start_sweep(
        "first", {"seed": 1}, {"space": "cnn_ws_aux"}, {"name": "d", "digest": "0"}
    )
    tracker.start_trial(3, "trial 3", {"lr": 1e-3, "channels": (8, 16)}, {})
    tracker.log_history(3, epochs(1, 2))
    tracker.log_metrics(None, {"best": math.nan}, step=1)
    tracker.set_tags(3, {"pruned": True})
    tracker.log_artifact(None, tmp_path / "space.py", "code")
    tracker.end_trial(3, "FAILED")
    tracker.end_sweep("FINISHED")
    written = [record for _, record in read_records(tmp_path / SPOOL_FILE)]
    assert [(record["op"], record.get("run")) for record in written] == [
        ("open", None),
        ("start", ""),
        ("start", "3"),
        ("metrics", "3"),
        ("metrics", ""),
        ("tags", "3"),
        ("artifact", ""),
        ("end", "3"),
        ("end", ""),
    ]
    assert written[1]["dataset"] == {"name": "d", "digest": "0"}
    assert written[2]["params"] == {"lr": "0.001", "channels": "(8, 16)"}
    assert written[3]["points"] == [["val_accuracy", 0.1, 1, 1001], ["val_accuracy", 0.2, 2, 1002]]
    assert written[5]["tags"] == {"pruned": "True"}
    assert written[7]["status"] == "FAILED"


def test_points_of_a_repeated_epoch_are_skipped(tmp_path: Path, tracker: Tracker) -> None:
    tracker.log_history(0, epochs(1, 3))
    tracker.log_history(0, epochs(2, 5))
    tracker.log_history(0, epochs(1, 5))
    tracker.log_history(1, epochs(1, 1))
    assert [step for _, _, step in points(tmp_path, "0")] == [1, 2, 3, 4, 5]
    assert len(points(tmp_path, "1")) == 1
    assert len(records(tmp_path, "metrics")) == 3


def test_a_resumed_tracker_knows_what_is_there(tmp_path: Path, target: TrackingTarget) -> None:
    first = Tracker(tmp_path, target)
    first.start_sweep("first", {}, {})
    first.start_trial(0, "trial 0", {}, {})
    first.log_history(0, epochs(1, 3))
    assert first.close(wait_s=0) == 5
    second = Tracker(tmp_path, target)
    second.start_sweep("first", {}, {})
    second.start_trial(0, "trial 0", {}, {})
    second.log_history(0, epochs(2, 4))
    second.end_trial(0, "FINISHED")
    second.end_sweep("FINISHED")
    assert second.close(wait_s=0) == 10
    assert [step for _, _, step in points(tmp_path, "0")] == [1, 2, 3, 4]
    ends = [(record["run"], record["status"]) for record in records(tmp_path, "end")]
    assert ends == [("", "KILLED"), ("0", "KILLED"), ("0", "FINISHED"), ("", "FINISHED")]


def test_closing_twice_closes_once(tmp_path: Path, tracker: Tracker) -> None:
    tracker.start_sweep("first", {}, {})
    assert tracker.close(wait_s=0) == tracker.close(wait_s=0) == 2
    assert len(records(tmp_path, "close")) == 1
    assert is_closed(tmp_path / SPOOL_FILE)


def test_a_second_driver_of_a_folder_is_refused(
    tmp_path: Path, tracker: Tracker, target: TrackingTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracker_module, "_START_WAIT_S", 0.1)
    with refused("tracker.already-running", sweep="first/cnn_ws_aux", folder=tmp_path):
        Tracker(tmp_path, target)


def test_ctrl_c_in_the_terminal_does_not_reach_the_uploader(tracker: Tracker) -> None:
    assert os.getsid(tracker._uploader.pid) == tracker._uploader.pid


def test_only_its_owner_reads_the_log_of_the_uploader(
    tmp_path: Path, target: TrackingTarget
) -> None:
    old_mask = os.umask(0o022)
    try:
        tracker = Tracker(tmp_path, target)
    finally:
        os.umask(old_mask)
    tracker.close(wait_s=0)
    assert stat.S_IMODE((tmp_path / LOG_FILE).stat().st_mode) == 0o600


def test_closing_leaves_no_process_behind(tracker: Tracker) -> None:
    tracker.close(wait_s=0)
    assert tracker._uploader.returncode is not None


def test_a_driver_that_has_lost_the_sweep_ends_no_run_in_its_name(
    tmp_path: Path, target: TrackingTarget
) -> None:
    class Lost:
        def check(self) -> None:
            raise ServiceLost("the study was out of reach")

    mirror = Mirror(tmp_path, f"{tmp_path.as_uri()}/store", Outages(), Lost())
    tracker = Tracker(tmp_path, target, mirror=mirror)
    tracker.start_sweep("first", {}, {})
    tracker.close()
    assert tracker._uploader.poll() is not None
    assert not records(tmp_path, "end")
    assert not (tmp_path / "store").exists()


def test_closing_ends_an_uploader_that_takes_no_notice(
    tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal may get lost while the uploader imports its libraries."""
    monkeypatch.setattr(tracker_module, "_STOP_WAIT_S", 0.1)
    monkeypatch.setattr(tracker._uploader, "terminate", lambda: None)
    tracker.close(wait_s=0)
    assert tracker._uploader.returncode == -signal.SIGKILL


def test_a_dead_uploader_is_replaced_with_the_next_trial(
    tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracker_module, "_RESPAWN_S", 0.0)
    first = tracker._uploader
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    tracker.start_trial(0, "trial 0", {}, {})
    assert tracker._uploader.pid != first.pid
    assert tracker._uploader.poll() is None


def test_the_driver_imports_no_tracking_client() -> None:
    code = (
        "import sys, sweeps.tracking.tracker, sweeps.replay\n"
        "print({'mlflow', 'optuna', 'sqlalchemy', 'torch', 'ray'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stdout == "set()\n"


def test_artifacts_in_the_folder_are_named_relative_to_it(
    tmp_path: Path, tracker: Tracker
) -> None:
    tracker.log_artifact(None, tmp_path / "errors" / "trial.txt")
    tracker.log_artifact(None, Path("/elsewhere/best.yaml"))
    assert [r["path"] for r in records(tmp_path, "artifact")] == [
        "errors/trial.txt",
        "/elsewhere/best.yaml",
    ]


def test_what_mlflow_refuses_is_said_with_the_log(
    tmp_path: Path, tracker: Tracker, target: TrackingTarget
) -> None:
    assert tracker.refused == ""
    write_progress(tmp_path, target.server, Progress(refused=2, refusal="param lr: too long"))
    assert tracker.refused == f"2 items, the last param lr: too long; see {tmp_path / LOG_FILE}"


def test_what_was_refused_before_a_resumption_is_not_said_again(
    tmp_path: Path, target: TrackingTarget
) -> None:
    write_progress(tmp_path, target.server, Progress(refused=2, refusal="param lr: too long"))
    tracker = Tracker(tmp_path, target)
    tracker.close(wait_s=0)
    assert tracker.refused == ""


def test_a_resumed_sweep_sends_no_parameter_that_has_changed(
    tmp_path: Path, target: TrackingTarget
) -> None:
    """MLflow would refuse the change, and the sweep would report the refusal at its end."""
    for params in ({"trials": 2, "seed": 1}, {"trials": 3, "seed": 1, "concurrency": 4}):
        tracker = Tracker(tmp_path, target)
        tracker.start_sweep("first", params, {})
        tracker.close(wait_s=0)
    first, again = records(tmp_path, "start")
    assert first["params"] == {"trials": "2", "seed": "1"}
    assert again["params"] == {"seed": "1", "concurrency": "4"}


def test_the_machines_of_all_attempts_are_in_one_tag_also_after_a_kill(
    tracker: Tracker, tmp_path: Path, target: TrackingTarget
) -> None:
    tracker.start_trial(3, "mlp-00003", {}, {})
    tracker.log_node(3, "a (10.0.0.1)")
    tracker.log_node(3, "b (10.0.0.2)")
    tracker.close(wait_s=0)
    again = Tracker(tmp_path, target)
    again.start_trial(3, "mlp-00003", {}, {})
    again.log_node(3, "a (10.0.0.1)")
    again.close(wait_s=0)
    tags = records(tmp_path, "tags")[-1]["tags"]
    assert tags == {"foldsweep.nodes": "a (10.0.0.1); b (10.0.0.2); a (10.0.0.1)"}
