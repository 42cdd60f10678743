"""A tracking server that stops during a sweep does no harm; replay.py sends the records later."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.integration.user import User, check_mlflow, scores, until
from tests.refusals import said_as, text

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(240)]


def free_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


@contextmanager
def mlflow_server(folder: Path, port: int) -> Iterator[None]:
    """An MLflow server as teams use it, over `server.db`."""
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--workers", "1", "--disable-security-middleware"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/server.db"]
    with (folder / "server.log").open("ab") as log:
        server = subprocess.Popen(
            command, cwd=folder, stdout=log, stderr=log, start_new_session=True
        )

    def answers() -> bool:
        assert server.poll() is None, (folder / "server.log").read_text()
        try:
            return requests.get(f"http://127.0.0.1:{port}/health", timeout=5).ok
        except requests.ConnectionError:
            return False

    try:
        until(answers)
        yield
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def test_a_server_that_stops_in_mid_sweep_gets_everything_later(
    user: User, reference: User, reference_args: tuple[object, ...]
) -> None:
    port = free_port()
    database = user.folder / "server.db"
    shutil.copy(user.folder / "mlflow.db", database)
    uri = f"http://127.0.0.1:{port}"
    with mlflow_server(user.folder, port):
        process = user.start(
            *("sweeps/run.py", "--space", "mlp", "--name", "cut", "--tracking-uri", uri),
            *("--concurrency", 2),  # the reference trains one at a time: scores are the same
            *reference_args,
        )
        until(lambda: user.records("cut/mlp", "metrics"), process)
        until(lambda: user.mlflow("cut/mlp", database).get("0"), process)
    said = user.end(process).stdout
    assert text("messages.ended-pausing", space="mlp", complete=6, paused=0, failed=0) in said
    replay = f"{User.shown('sweeps/replay.py')} cut"
    waiting = said_as("messages.records-wait", uri=uri, folder="runs/cut", replay=replay)
    assert waiting.search(said)
    trials = user.study("cut/mlp")
    assert scores(trials) == scores(reference.study("reference/mlp"))
    before = user.mlflow("cut/mlp", database)
    assert {run.status for run in before.values()} != {"FINISHED"}

    with mlflow_server(user.folder, port):
        said = user.run_printed(replay).stdout
        first, sent = said.splitlines()
        to = {"uri": uri, "experiment": "foldsweep"}
        assert first == text("replay.sends", folder="runs/cut/mlp", **to)
        assert sent.startswith("runs/cut/mlp: sent ")
        again = user.run_printed(replay).stdout
        assert "sent 0 records of 0 runs" in again
    runs = user.mlflow("cut/mlp", database)
    check_mlflow(runs, trials)
    assert {name: run.run_id for name, run in runs.items() if name in before} == {
        name: run.run_id for name, run in before.items()
    }
    spooled = {
        (record["run"], key, step): value
        for record in user.records("cut/mlp", "metrics")
        for key, value, step, _ in record["points"]
    }
    assert spooled == {
        (name, key, step): value
        for name, run in runs.items()
        if name
        for (key, step), value in run.points.items()
    }
    assert not user.mlflow("cut/mlp")
