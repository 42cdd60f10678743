"""Head node of a cluster: whether it is reachable, and whether this machine is a node."""

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweeps import head
from sweeps.head import HeadWatch, check_is_node, check_reachable
from tests.refusals import refused, text


@pytest.fixture
def server() -> Iterator[socket.socket]:
    """A server that accepts connections, like the head node."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def address(server: socket.socket) -> str:
    return f"127.0.0.1:{server.getsockname()[1]}"


def processes(folder: Path, *lines: str) -> Path:
    """Write a /proc folder for processes with these command lines."""
    (folder / "self").mkdir()
    for number, line in enumerate(lines, start=1):
        (folder / str(number)).mkdir()
        (folder / str(number) / "cmdline").write_bytes(line.replace(" ", "\0").encode())
    return folder


def test_a_head_node_that_is_not_there_is_one_line(server: socket.socket) -> None:
    check_reachable(address(server))
    check_reachable("auto")
    gone = address(server)
    server.close()
    with refused("head.unreachable", address=gone) as caught:
        check_reachable(gone)
    assert "refused" in str(caught.value.values["error"])


def test_a_machine_that_is_no_node_of_the_cluster_is_told_so(tmp_path: Path) -> None:
    """Ray would search for a raylet for a minute, and then report a different error."""
    shown = processes(
        tmp_path,
        "python sweeps/run.py --gcs-address=10.0.0.1:6379",
        "/x/raylet --raylet_socket_name=y --gcs-address=10.0.0.7:6379 --node_id=0",
        "",
    )
    others = ", only of 10.0.0.7:6379"
    with refused("head.not-a-node", address="10.0.0.1:6379", others=others):
        check_is_node("10.0.0.1:6379", shown)
    check_is_node("10.0.0.7:6379", shown)
    check_is_node("127.0.0.1:6379", shown)  # on the head itself
    check_is_node("auto", shown)
    with refused("head.not-a-node", address="10.0.0.7:6380", others=others):
        check_is_node("10.0.0.7:6380", shown)
    check_is_node("10.0.0.1:6379", tmp_path / "no such system")


def test_a_machine_without_any_ray_is_told_so(tmp_path: Path) -> None:
    with refused("head.not-a-node", others=""):
        check_is_node("10.0.0.1:6379", processes(tmp_path))


class Clock:
    """Clock that advances by a second per call."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 1
        return self.now


def test_a_head_node_that_has_gone_is_told_once_after_a_while(
    server: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(head, "time", clock)
    monkeypatch.setattr(head, "PING_EVERY_S", 0.0)
    said: list[str] = []
    heard = threading.Event()

    def gone(what: str) -> None:
        said.append(what)
        heard.set()

    place = address(server)
    watch = HeadWatch(place, gone, after_s=20)
    while clock.now < 100:  # longer than the permitted silence
        server.accept()[0].close()
    assert not said
    server.close()
    assert heard.wait(30)
    watch._thread.join(30)
    assert said == [text("head.no-answer", address=place, seconds=20)]


def test_who_has_a_head_node_that_comes_back_is_not_cut_short(
    server: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "RAY_gcs_rpc_server_reconnect_timeout_s", "600")
    watch = HeadWatch(address(server), lambda what: None)
    assert not watch._thread.is_alive()
    watch.stop()
