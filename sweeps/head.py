"""Checks of a cluster's head node: whether it answers, and whether this machine is its node."""

import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from foldsweep.errors import UserError
from foldsweep.texts import text

REACHED_WITHIN_S = 5.0
PING_EVERY_S = 1.0
GONE_AFTER_S = 10.0
"""Seconds without an answer after which a head node counts as lost: more than a loaded node or a
short network failure takes. Ray itself waits for a minute, and then ends the process without a
message."""
RAYS_OWN_LIMIT = "RAY_gcs_rpc_server_reconnect_timeout_s"
"""Environment variable with Ray's own limit. A user who sets it expects that the head node comes
back, so `HeadWatch` then does nothing."""
PROCESSES = Path("/proc")


def check_reachable(address: str | None) -> None:
    """Check that a head node accepts connections.

    Ray itself would try for minutes, with many messages.

    Raises:
        UserError: If nothing answers.
    """
    found = _parsed(address)
    if found is None:
        return
    try:
        socket.create_connection(found, REACHED_WITHIN_S).close()
    except (OSError, OverflowError) as error:
        raise UserError.of("head.unreachable", address=address, error=error) from None


def check_is_node(address: str | None, processes: Path = PROCESSES) -> None:
    """Refuse to join a cluster from a machine that is not one of its nodes.

    Ray itself searches for a raylet on this machine for a minute, and then raises another error.

    Args:
        address: Host and port of the head node; other kinds of address are left to Ray.
        processes: Folder in which the system lists its processes; if missing, Ray has to check.

    Raises:
        UserError: If no node of the cluster runs on this machine.
    """
    found = _parsed(address)
    if found is None or not (processes / "self").exists():
        return
    joined = [*_clusters_here(processes)]
    if any(_same(found, other) for other in joined):
        return
    others = f", only of {', '.join(f'{host}:{port}' for host, port in joined)}" if joined else ""
    raise UserError.of("head.not-a-node", address=address, others=others)


class HeadWatch:
    """Thread that pings a head node, and reports once if the head node is lost.

    Args:
        address: Address of the head node's server (GCS), as Ray returns it.
        gone: Called with a message that says what happened.
        after_s: Seconds without an answer after which the head node is lost.
    """

    def __init__(
        self, address: str, gone: Callable[[str], None], *, after_s: float = GONE_AFTER_S
    ):
        self._address = address
        self._gone = gone
        self._after_s = after_s
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="head", daemon=True)
        if RAYS_OWN_LIMIT not in os.environ and _parsed(address) is not None:
            self._thread.start()

    def stop(self) -> None:
        """Stop pinging."""
        self._enough.set()

    def _watch(self) -> None:
        place = _parsed(self._address)
        assert place is not None
        answered = time.monotonic()
        while not self._enough.wait(PING_EVERY_S):
            with suppress(OSError):
                socket.create_connection(place, self._after_s / 2).close()
                answered = time.monotonic()
            if time.monotonic() - answered > self._after_s and not self._enough.is_set():
                seconds = f"{self._after_s:g}"
                self._gone(text("head.no-answer", address=self._address, seconds=seconds))
                return


def _parsed(address: str | None) -> tuple[str, int] | None:
    """Host and port of an address; None for another kind of address, such as `auto`."""
    found = re.fullmatch(r"\[?([^\[\]/]+)\]?:(\d+)", address or "")
    return None if found is None else (found[1], int(found[2]))


def _clusters_here(processes: Path) -> Iterator[tuple[str, int]]:
    """Yield the addresses of the head nodes of all clusters that have a node on this machine."""
    for path in processes.glob("[0-9]*/cmdline"):
        if _network(path.parent) not in (None, _network(processes / "self")):
            continue  # a process of a container, which has another network
        with suppress(OSError):
            words = path.read_bytes().split(b"\0")
            if os.path.basename(words[0]) != b"raylet":
                continue
            for word in words:
                found = re.fullmatch(r"--gcs-address=(.*)", os.fsdecode(word))
                address = None if found is None else _parsed(found[1])
                if address is not None:
                    yield address


def _network(process: Path) -> str | None:
    """Network namespace of a process; None if the system does not provide it."""
    try:
        return os.readlink(process / "ns" / "net")
    except OSError:
        return None


def _same(one: tuple[str, int], other: tuple[str, int]) -> bool:
    """Whether two addresses may be of one server; a loopback address matches every host."""
    hosts = [_resolved(host) for host, _ in (one, other)]
    loopback = any(host.startswith(("127.", "::1")) for found in hosts for host in found)
    return one[1] == other[1] and (loopback or bool(hosts[0] & hosts[1]))


def _resolved(host: str) -> set[str]:
    try:
        return {str(found[4][0]) for found in socket.getaddrinfo(host, None)}
    except OSError:
        return {host}
