"""A real Ray cluster on this machine: a head and nodes, each started by `ray start`.

Every node has its own folder, token-protected raylet and workers, and a mark in the environment of
all its processes. Processes are found and killed by mark or folder; no other process is touched.
"""

import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tests.cluster.networks import Loopback, Networks, Place
from tests.cluster.proxy import free_port

NODE = "FOLDSWEEP_TEST_NODE"
"""Environment variable with the name of the node that a process belongs to."""
CLUSTER = "FOLDSWEEP_TEST_CLUSTER"
STORE_BYTES = 80 * 2**20
STARTED_WITHIN_S = 120.0


def is_trial(line: str) -> bool:
    """Whether a process belongs to a trial, judged by the title that Ray gives it."""
    return line.startswith("ray::") and not re.match(r"ray::(IDLE|\w+Agent)\b", line)


class Node:
    """A running node."""

    def __init__(self, name: str, place: Place, folder: Path, mark: str):
        self.name = name
        self.place = place
        self.folder = folder
        self._marks = {f"{NODE}={name}".encode(), f"{CLUSTER}={mark}".encode()}

    @property
    def address(self) -> str:
        """IP address; on loopback the same for all nodes."""
        return self.place.address

    @property
    def shown(self) -> str:
        """The node's name in messages of the sweep."""
        return f"{socket.gethostname()} ({self.address})"

    def processes(self) -> dict[int, str]:
        """Command lines of all its processes, by process id."""
        found = {}
        for path in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                marked = self._marks <= set((path / "environ").read_bytes().split(b"\0"))
                # the title that Ray gives a process may overwrite a part of its environment
                if marked or os.readlink(path / "cwd").startswith(str(self.folder)):
                    line = (path / "cmdline").read_bytes().replace(b"\0", b" ")
                    found[int(path.name)] = line.decode(errors="replace")
        return found

    def trials(self) -> list[int]:
        """Processes of trials."""
        return [pid for pid, line in self.processes().items() if is_trial(line)]

    def kill(self) -> None:
        """Kill all workers, the agents and the raylet at once, as a power cut does.

        The raylet comes last, so it may still report the death of workers as if the workers had
        crashed.
        """
        self._kill(sorted(self.processes(), reverse=True))

    def kill_part(self, name: str) -> None:
        """Kill the processes whose command line contains `name`, such as `gcs_server`."""
        self._kill([pid for pid, line in self.processes().items() if name in line])

    def _kill(self, pids: list[int]) -> None:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


class RayCluster:
    """A head and its nodes; drivers run on the head's machine with `environment` and `prefix`.

    Args:
        where: Networks of the nodes.
        cpus: CPUs that the head announces, independent of the real number.
        env: Additional environment of every node, such as the keys of an object store.
    """

    def __init__(self, where: Loopback | Networks, *, cpus: int, env: Mapping[str, str]):
        self.where = where
        self.nodes: list[Node] = []
        self._mark = secrets.token_hex(8)
        self._env = dict(env)
        self._port = free_port()
        self.environment = {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_USAGE_STATS_ENABLED": "0",
        }
        self.head = self._start(cpus)

    @property
    def address(self) -> str:
        """Address for `--address`."""
        return f"{self.head.address}:{self._port}"

    @property
    def prefix(self) -> tuple[str, ...]:
        """Command prefix of a driver."""
        return self.head.place.prefix

    def add(self, cpus: int = 1, gpus: int = 0, **env: str) -> Node:
        """Start a node that joins the cluster.

        Args:
            cpus: CPUs that the node announces.
            gpus: GPUs that the node announces.
            **env: Additional environment of the node.
        """
        return self._start(cpus, gpus, env)

    def cut_off(self, node: Node) -> None:
        """Drop all packets into and out of a node, which must have a network of its own."""
        assert isinstance(self.where, Networks)
        self.where.cut_off(node.place)

    def close(self) -> None:
        """Kill all nodes and remove their folders."""
        for node in self.nodes:
            while node.processes():  # processes that are just being started appear later
                node.kill()
                time.sleep(0.05)
            shutil.rmtree(node.folder, ignore_errors=True)

    def _start(self, cpus: int, gpus: int = 0, env: Mapping[str, str] | None = None) -> Node:
        place = self.where.add()
        # the path of a socket has at most 107 characters
        folder = Path(tempfile.mkdtemp(prefix="fsray", dir="/tmp"))
        node = Node(f"node{len(self.nodes)}", place, folder, self._mark)
        self.nodes.append(node)
        head = len(self.nodes) == 1
        words: list[object] = [sys.executable, "-m", "ray.scripts.scripts", "start"]
        words += ["--head", "--port", self._port] if head else ["--address", self.address]
        words += ["--include-dashboard", "false"] if head else []
        words += ["--node-ip-address", place.address, "--node-name", node.name]
        words += ["--num-cpus", cpus, "--num-gpus", gpus, "--object-store-memory", STORE_BYTES]
        words += ["--min-worker-port", 0, "--max-worker-port", 0, "--temp-dir", folder]
        for port in ("dashboard-agent-listen", "dashboard-agent-grpc", "metrics-export"):
            words += [f"--{port}-port", free_port()]
        words += ["--runtime-env-agent-port", free_port()]
        log = folder / "start.log"
        own = {NODE: node.name, CLUSTER: self._mark}
        with log.open("wb") as file:
            done = subprocess.run(
                [*map(str, [*place.prefix, *words])],
                cwd=folder,
                env=os.environ | self._env | self.environment | own | (env or {}),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                timeout=STARTED_WITHIN_S,
            )
        assert done.returncode == 0, log.read_text(errors="replace")[-3000:]
        return node
