"""Tracking outages with real servers, real processes and real kills."""

import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests
from mlflow import MlflowClient
from mlflow.entities import ViewType

from sweeps import replay
from sweeps.replay import main
from sweeps.tracking.spool import (
    RUN_TAG,
    SPOOL_FILE,
    TrackingTarget,
    count_records,
    read_progress,
)
from sweeps.tracking.tracker import LOG_FILE, Tracker
from tests.refusals import text

pytestmark = [pytest.mark.integration, pytest.mark.slow]

NUM_EPOCHS = 5


@pytest.fixture
def database(tmp_path: Path, empty_mlflow: Path) -> Path:
    return Path(shutil.copy(empty_mlflow, tmp_path / "mlflow.db"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "first" / "cnn_ws_aux"


@pytest.fixture
def port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


@pytest.fixture(autouse=True)
def request_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restores after each test the environment variables that the programs set."""
    for key, value in replay._REQUESTS.items():
        monkeypatch.setenv(key, value)


def target(tracking_uri: str) -> TrackingTarget:
    return TrackingTarget(
        tracking_uri=tracking_uri,
        experiment="digits",
        sweep="first/cnn_ws_aux",
        study_storage="absent.journal",
        study_name="first/cnn_ws_aux",
    )


def until(condition: Callable[[], object], within_s: float = 30.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.01)


@contextmanager
def mlflow_server(database: Path, port: int) -> Iterator[None]:
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--workers", "1", "--disable-security-middleware"]
    command += ["--backend-store-uri", f"sqlite:///{database}"]
    with (database.parent / "server.log").open("ab") as log:
        server = subprocess.Popen(
            command, cwd=database.parent, stdout=log, stderr=log, start_new_session=True
        )

    def answers() -> bool:
        try:
            return requests.get(f"http://127.0.0.1:{port}/health", timeout=5).ok
        except requests.ConnectionError:
            return False

    try:
        until(answers, 60)
        yield
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


@contextmanager
def http_server(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def log_trials(tracker: Tracker, numbers: range) -> None:
    for number in numbers:
        tracker.start_trial(number, f"trial {number}", {"lr": number / 100}, {})
        for epoch in range(1, NUM_EPOCHS + 1):
            tracker.log_metrics(number, {"loss": 1 / epoch, "accuracy": number / epoch}, epoch)
        tracker.end_trial(number, "FINISHED")


def log_sweep(tracker: Tracker, num_trials: int) -> None:
    tracker.start_sweep("first", {"seed": 1}, {})
    log_trials(tracker, range(num_trials))
    tracker.end_sweep("FINISHED")


def check_sweep(tracking_uri: str, num_trials: int) -> None:
    """Check that every run is there once, below its parent and finished, with every point once."""
    client = MlflowClient(tracking_uri=tracking_uri)
    experiment = client.get_experiment_by_name("digits")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    by_tag = {run.data.tags[RUN_TAG]: run for run in runs}
    names = {"first/cnn_ws_aux", *(f"first/cnn_ws_aux/{number}" for number in range(num_trials))}
    assert len(runs) == len(by_tag)
    assert set(by_tag) == names
    parent = by_tag.pop("first/cnn_ws_aux")
    assert parent.info.status == "FINISHED"
    for run in by_tag.values():
        assert run.info.status == "FINISHED"
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        for key in ("loss", "accuracy"):
            steps = [point.step for point in client.get_metric_history(run.info.run_id, key)]
            assert sorted(steps) == list(range(1, NUM_EPOCHS + 1))


def num_runs(database: Path) -> int:
    client = MlflowClient(tracking_uri=f"sqlite:///{database}")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return len(client.search_runs(experiments, run_view_type=ViewType.ALL))


class DroppingProxy(BaseHTTPRequestHandler):
    """Proxy of `server_uri` that drops the answer to the first POST of each kind."""

    server_uri: str
    dropped: set[str]

    def forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {"Content-Type": "application/json"}
        url = self.server_uri + self.path
        answer = requests.request(self.command, url, data=body, headers=headers, timeout=30)
        kind = self.path.partition("?")[0].rpartition("mlflow/")[2]
        if self.command == "POST" and kind not in self.dropped:
            self.dropped.add(kind)
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response(answer.status_code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    do_GET = do_POST = forward

    def log_message(self, *args: object) -> None:
        pass


@pytest.mark.slow  # two server starts; test_tracking_server_stops tests a whole sweep
@pytest.mark.timeout(240)
def test_a_server_that_comes_and_goes_gets_everything(
    folder: Path, database: Path, port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    uri = f"http://127.0.0.1:{port}"
    tracker = Tracker(folder, target(uri))
    try:
        tracker.start_sweep("first", {"seed": 1}, {})
        log_trials(tracker, range(3))
        until(lambda: tracker.problem)
        with mlflow_server(database, port):
            until(lambda: num_runs(database) == 4)
            log_trials(tracker, range(3, 6))
            until(lambda: num_runs(database) > 4)
        log_trials(tracker, range(6, 8))
        tracker.end_sweep("FINISHED")
    finally:
        waiting = tracker.close(wait_s=0.2)
    assert waiting > 0

    command = ["first", "--storage", str(folder.parents[1])]
    assert main(command) == 1
    problem = "[Errno 111] Connection refused"
    said = text("replay.unreachable", uri=uri, records=waiting, folder=folder, problem=problem)
    assert capsys.readouterr().err == f"{said}\n"

    dropped: set[str] = set()
    proxied = type("Proxied", (DroppingProxy,), {"server_uri": uri, "dropped": dropped})
    with mlflow_server(database, port):
        with http_server(proxied) as proxy:
            attempts = [main([*command, "--tracking-uri", proxy]) for _ in range(7)]
        assert attempts[0] == 1
        assert attempts[-1] == 0
        assert dropped >= {"runs/search", "runs/create", "runs/log-batch", "runs/update"}
        check_sweep(uri, 8)
        capsys.readouterr()
        assert main(command) == 0
        assert f"sent {waiting} records of" in capsys.readouterr().out
    check_sweep(f"sqlite:///{database}", 8)


@pytest.mark.parametrize("answer", ["500", "never"])
def test_a_sick_server_holds_up_nothing_and_loses_nothing(
    folder: Path, database: Path, answer: str
) -> None:
    asked, healed = threading.Event(), threading.Event()

    class SickServer(BaseHTTPRequestHandler):
        def answer(self) -> None:
            asked.set()
            if answer == "never":
                healed.wait()
            else:
                self.send_error(500)

        do_GET = do_POST = answer

        def log_message(self, *args: object) -> None:
            pass

    with http_server(SickServer) as uri:
        tracker = Tracker(folder, target(uri))
        try:
            tracker.start_sweep("first", {"seed": 1}, {})
            log_trials(tracker, range(1))
            assert asked.wait(30)
            log_trials(tracker, range(1, 3))
            tracker.end_sweep("FINISHED")
            records = 2 + 3 * (NUM_EPOCHS + 2)
            assert count_records(folder / SPOOL_FILE, 0) == records
            assert tracker.close(wait_s=0.5) == records
        finally:
            tracker.close(wait_s=0)
            healed.set()
    assert main([str(folder), "--tracking-uri", f"sqlite:///{database}"]) == 0
    check_sweep(f"sqlite:///{database}", 3)


# An uploader that hangs after a call to MLflow, once the database has more runs than before.
FOLLOW_AND_HANG = """
import threading
from mlflow import MlflowClient
from sweeps.replay import follow
from tests.integration.test_tracking_outage import num_runs

def call_and_hang(*args, make_call=getattr(MlflowClient, call), **kwargs):
    answer = make_call(*args, **kwargs)
    if num_runs(database) > num_before:
        threading.Event().wait()
    return answer

setattr(MlflowClient, call, call_and_hang)
follow(folder)
"""


def test_an_uploader_killed_again_and_again_makes_one_run_per_trial(
    folder: Path, database: Path
) -> None:
    """Each is killed when a run appears in the database: before it knows the id, or soon after.

    The uploader hangs there until the kill, so the test does not depend on timing.
    """
    uri = f"sqlite:///{database}"
    tracker = Tracker(folder, target(uri))
    os.kill(tracker._uploader.pid, signal.SIGKILL)
    tracker._uploader.wait()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["sweeps.tracking.uploader"])
    tracker.start_sweep("first", {"seed": 1}, {})
    for number in range(40):  # runs that have not ended are created one by one
        tracker.start_trial(number, f"trial {number}", {}, {})
    tracker.log_metrics(39, {"loss": 1.0}, 1)  # uploaders wait for it; logged again below
    create, log = "create_run", "log_batch"
    for num_before, call in ((0, create), (1, log), (2, create), (7, log), (20, create)):
        given = {"folder": folder, "database": database, "num_before": num_before, "call": call}
        uploader = context.Process(target=exec, args=(FOLLOW_AND_HANG, given), daemon=True)
        uploader.start()
        try:
            until(lambda n=num_before: num_runs(database) > n)  # type: ignore[misc]
        finally:
            uploader.kill()
            uploader.join()
        assert num_runs(database) == num_before + 1
    assert read_progress(folder, target(uri).server).offset == 0
    log_trials(tracker, range(40))
    tracker.end_sweep("FINISHED")
    assert tracker.close(wait_s=30) == 0
    check_sweep(uri, 40)


def test_a_driver_killed_without_a_word_leaves_whole_and_ended_runs(
    folder: Path, database: Path
) -> None:
    uri = f"sqlite:///{database}"
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from sweeps.tracking.spool import TrackingTarget\n"
        "from sweeps.tracking.tracker import Tracker\n"
        "folder, uri, sweep = Path(sys.argv[1]), sys.argv[2], sys.argv[3]\n"
        "target = TrackingTarget(tracking_uri=uri, experiment='digits', sweep=sweep,\n"
        "    study_storage='absent.journal', study_name=sweep)\n"
        "tracker = Tracker(folder, target)\n"
        "tracker.start_sweep('first', {}, {})\n"
        "tracker.start_trial(0, 'trial 0', {'lr': 0.0}, {})\n"
        "tracker.log_metrics(0, {'loss': 1.0, 'accuracy': 0.0}, 1)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    command = [sys.executable, "-c", code, str(folder), uri, target(uri).sweep]
    driver = subprocess.run(command, cwd=Path(__file__).parents[2], timeout=30)
    assert driver.returncode == -signal.SIGKILL
    client = MlflowClient(tracking_uri=uri)

    def statuses() -> dict[str, str]:
        return {run.data.tags[RUN_TAG]: run.info.status for run in client.search_runs(["1"])}

    until(lambda: num_runs(database) == 2)
    until(lambda: set(statuses().values()) == {"KILLED"})
    tracker = Tracker(folder, target(uri))
    log_sweep(tracker, 2)
    assert tracker.close(wait_s=30) == 0
    check_sweep(uri, 2)


def test_only_one_uploader_works_on_a_spool(
    folder: Path,
    database: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(replay, "_LOCK_WAIT_S", 0.1)
    uri = f"sqlite:///{database}"
    tracker = Tracker(folder, target(uri))
    try:
        log_trials(tracker, range(1))
        until(lambda: read_progress(folder, target(uri).server).offset)
        assert main([str(folder)]) == 2
        said = text("replay.folder-in-use", folder=folder)
        assert f"error: {said}\n" in capsys.readouterr().err
    finally:
        assert tracker.close(wait_s=30) == 0
    assert "Traceback" not in (folder / LOG_FILE).read_text()


def test_a_name_that_is_not_there_is_answered_with_those_that_are(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.mkdir(parents=True)
    target("http://127.0.0.1:1").save(folder)
    storage = folder.parents[1]
    assert main(["frist", "--storage", str(storage)]) == 2
    said = capsys.readouterr().err
    wanted = text("replay.no-sweep", name="frist", storage=storage, known="first")
    assert said == f"error: {wanted}\n"
    assert main(["first", "--storage", str(storage)]) == 0
    assert capsys.readouterr().out == text("replay.nothing-recorded", folder=folder) + "\n"
