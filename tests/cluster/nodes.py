"""A real Ray cluster on this machine: a head and nodes, each started by `ray start`.

Every node has a folder, a token-protected raylet and workers of its own, and a mark in the
environment of all its processes. By mark or folder they are found and killed; no other process is
touched.
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
"""Variable with the name of the node that a process belongs to."""
CLUSTER = "FOLDSWEEP_TEST_CLUSTER"
STORE_BYTES = 80 * 2**20
STARTED_WITHIN_S = 120.0


def is_trial(line: str) -> bool:
    """Whether a process is that of a trial, by its title, which Ray gives it."""
    return line.startswith("ray::") and not re.match(r"ray::(IDLE|\w+Agent)\b", line)


class Node:
    """A node that runs."""

    def __init__(self, name: str, place: Place, folder: Path, mark: str):
        self.name = name
        self.place = place
        self.folder = folder
        self._marks = {f"{NODE}={name}".encode(), f"{CLUSTER}={mark}".encode()}

    @property
    def address(self) -> str:
        """Its address, which on loopback is that of all."""
        return self.place.address

    @property
    def shown(self) -> str:
        """As the product names it."""
        return f"{socket.gethostname()} ({self.address})"

    def processes(self) -> dict[int, str]:
        """Command lines of all that belongs to it."""
        found = {}
        for path in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                marked = self._marks <= set((path / "environ").read_bytes().split(b"\0"))
                # the title that Ray gives a process may be written over a part of its environment
                if marked or os.readlink(path / "cwd").startswith(str(self.folder)):
                    line = (path / "cmdline").read_bytes().replace(b"\0", b" ")
                    found[int(path.name)] = line.decode(errors="replace")
        return found

    def trials(self) -> list[int]:
        """Processes of trials."""
        return [pid for pid, line in self.processes().items() if is_trial(line)]

    def kill(self) -> None:
        """End all workers, the agents and the raylet without a word, as a power cut does.

        The raylet last: it may still say that workers have died, as if of what they did.
        """
        self._kill(sorted(self.processes(), reverse=True))

    def kill_part(self, name: str) -> None:
        """End the processes whose command line has `name`, such as `gcs_server`."""
        self._kill([pid for pid, line in self.processes().items() if name in line])

    def _kill(self, pids: list[int]) -> None:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


class RayCluster:
    """A head and its nodes; drivers run where the head is, with `environment` and `prefix`.

    Args:
        where: Places of nodes.
        cpus: CPUs that the head says it has, which has little to do with those there are.
        env: More of the environment of every node, such as the keys of an object store.
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
        """What drivers are given."""
        return f"{self.head.address}:{self._port}"

    @property
    def prefix(self) -> tuple[str, ...]:
        """Words before the command of a driver."""
        return self.head.place.prefix

    def add(self, cpus: int = 1, gpus: int = 0, **env: str) -> Node:
        """Have a node join.

        Args:
            cpus: CPUs that it says it has.
            gpus: GPUs that it says it has.
            **env: More of its environment.
        """
        return self._start(cpus, gpus, env)

    def cut_off(self, node: Node) -> None:
        """Let nothing in or out of a node that has a network of its own."""
        assert isinstance(self.where, Networks)
        self.where.cut_off(node.place)

    def close(self) -> None:
        """End all nodes."""
        for node in self.nodes:
            while node.processes():  # what is just being started comes later
                node.kill()
                time.sleep(0.05)
            shutil.rmtree(node.folder, ignore_errors=True)

    def _start(self, cpus: int, gpus: int = 0, env: Mapping[str, str] | None = None) -> Node:
        place = self.where.add()
        # a socket's path has 107 characters at most
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
