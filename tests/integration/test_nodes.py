"""Nodes of a real cluster come and go in mid-sweep; all are raylets on this machine."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.integration.user import REPOSITORY, TINY, User, until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400)]

NODE = "FOLDSWEEP_NODE"
GATED = """
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from search_spaces.larger_digit import mlp

def space():
    known = mlp.space()

    def model(config, shapes):
        if sys.argv[0].endswith("default_worker.py"):
            mark = Path(PLACE, os.environ["FOLDSWEEP_NODE"] + "." + str(os.getpid()))
            mark.touch()
            while not Path(PLACE, "open").exists():
                time.sleep(0.05)
            mark.unlink(missing_ok=True)
        return known.variant.model(config, shapes)

    return replace(known, name="gated", variant=replace(known.variant, model=model))
"""
SWEEP = ("--space", "gated.py", *TINY, "--trials", 6, "--epochs", 2, "--max-failures", 0)
RANDOM = ("--sampler", "random", "--scheduler", "none")
BROKEN = "raise ImportError('this node has no foldsweep')\n"


def free_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


class Nodes:
    """A head with one CPU, and nodes that join it; each is found by a mark in its environment."""

    def __init__(self) -> None:
        self.port = free_port()
        self.mark = secrets.token_hex(8)
        self.environment = {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_USAGE_STATS_ENABLED": "0",
        }
        self.folders: list[Path] = []
        self.start("head", cpus=1)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self, name: str, *, cpus: int, path: Path = REPOSITORY) -> None:
        folder = Path(tempfile.mkdtemp(prefix="fsn", dir="/tmp"))  # a socket's path is short
        self.folders.append(folder)
        words: list[object] = [sys.executable, "-m", "ray.scripts.scripts", "start"]
        head = ("--head", "--port", self.port, "--include-dashboard", "false")
        words += head if name == "head" else ("--address", self.address)
        words += ["--node-ip-address", "127.0.0.1", "--num-cpus", cpus, "--num-gpus", 0]
        words += ["--object-store-memory", 80 * 2**20, "--temp-dir", folder]
        words += ["--min-worker-port", 0, "--max-worker-port", 0]
        for port in ("dashboard-agent-listen", "dashboard-agent-grpc", "metrics-export"):
            words += [f"--{port}-port", free_port()]
        words += ["--runtime-env-agent-port", free_port()]
        own = {NODE: f"{name}-{self.mark}", "PYTHONPATH": str(path)}
        with (folder / "log").open("wb") as log:
            done = subprocess.run(
                [*map(str, words)],
                env=os.environ | self.environment | own,
                stdout=log,
                stderr=log,
                timeout=120,
            )
        assert done.returncode == 0, (folder / "log").read_text()[-3000:]

    def kill(self, name: str) -> bool:
        """End everything of a node without a word; whether there was anything."""
        mark, found = f"{NODE}={name}-{self.mark}".encode(), False
        for path in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if mark in (path / "environ").read_bytes().split(b"\0"):
                    os.kill(int(path.name), signal.SIGKILL)
                    found = True
        return found

    def clear_up(self) -> None:
        for name in ("head", "first", "second", "broken"):
            while self.kill(name):
                time.sleep(0.05)
        for folder in self.folders:
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    nodes = Nodes()
    yield nodes
    nodes.clear_up()


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """Folder in which trials leave marks; a file `open` lets them through."""
    gate = tmp_path / "gate"
    gate.mkdir()
    (tmp_path / "gated.py").write_text(GATED.replace("PLACE", repr(str(gate))))
    return gate


@pytest.fixture
def waiting(gate: Path) -> Callable[[], Counter[str]]:
    """How many processes of each node wait at the gate."""

    def count() -> Counter[str]:
        marks = [path.name.rsplit(".", 1) for path in gate.glob("*-*.*")]
        alive = [node for node, pid in marks if Path(f"/proc/{pid}").exists()]
        return Counter(node.partition("-")[0] for node in alive)

    return count


def test_a_machine_that_is_killed_costs_no_trial_and_one_that_joins_is_used(
    user: User, nodes: Nodes, gate: Path, waiting: Callable[[], Counter[str]]
) -> None:
    nodes.start("first", cpus=2)
    process = user.start(
        "sweeps/run.py",
        *SWEEP,
        *RANDOM,
        "--name",
        "come",
        "--address",
        nodes.address,
        **nodes.environment,
    )
    until(lambda: waiting() == {"head": 1, "first": 2}, process)
    nodes.kill("first")
    nodes.start("second", cpus=2)
    until(lambda: waiting() == {"head": 1, "second": 2}, process, within_s=180)
    (gate / "open").touch()
    said = user.end(process).stdout
    assert "2 nodes: 3 trials at a time" in said
    assert "lost with its machine, " in said
    assert "last error" not in said
    assert {trial.state.name for trial in user.study("come/gated")} == {"COMPLETE"}
    runs = user.mlflow("come/gated")
    places = [run.tags["foldsweep.nodes"] for number, run in runs.items() if number]
    assert Counter(place.count(f"{socket.gethostname()} (") for place in places) == {1: 4, 2: 2}


def test_a_node_that_lacks_the_product_is_named_and_no_trial_is_placed_on_it(
    user: User, nodes: Nodes, gate: Path, waiting: Callable[[], Counter[str]], tmp_path: Path
) -> None:
    """Whether it is there at the start or joins, when trials wait for a place."""
    for package in ("sweeps", "trainables"):
        (tmp_path / "broken" / package).mkdir(parents=True)
        (tmp_path / "broken" / package / "__init__.py").write_text(BROKEN)
    nodes.start("broken", cpus=2, path=tmp_path / "broken")
    process = user.start(
        *("sweeps/run.py", *SWEEP, *RANDOM, "--name", "lacks", "--address", nodes.address),
        *("--concurrency", 3),
        **nodes.environment,
    )
    until(lambda: waiting() == {"head": 1}, process)
    nodes.start("first", cpus=1)
    until(lambda: waiting() == {"head": 1, "first": 1}, process)
    (gate / "open").touch()
    said = user.end(process).stdout
    lacks = "cannot import foldsweep (ImportError: this node has no foldsweep)"
    assert said.count(lacks) == 1
    assert {trial.state.name for trial in user.study("lacks/gated")} == {"COMPLETE"}


def test_what_fits_no_node_is_refused_before_anything_is_begun(user: User, nodes: Nodes) -> None:
    nodes.start("first", cpus=1)
    done = user.run(
        *("sweeps/run.py", "--space", "mlp", *TINY, "--name", "large"),
        *("--cpus-per-trial", 2, "--address", nodes.address),
        code=2,
        **nodes.environment,
    )
    assert done.stderr.startswith("error: --cpus-per-trial 2 fits no node: the largest, ")
    assert done.stderr.count("\n") == 1


def test_a_head_node_that_is_killed_is_one_line_with_the_command_that_resumes(
    user: User, nodes: Nodes, gate: Path, waiting: Callable[[], Counter[str]]
) -> None:
    """The server alone: the driver's own raylet lives on."""
    process = user.start(
        "sweeps/run.py",
        *SWEEP,
        *RANDOM,
        "--name",
        "head",
        "--address",
        nodes.address,
        **nodes.environment,
    )
    until(lambda: waiting() == {"head": 1}, process)
    (gcs,) = [
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if b"gcs_server" in (line := path.read_bytes()) and str(nodes.port).encode() in line
    ]
    os.kill(gcs, signal.SIGKILL)
    out, err = process.communicate(timeout=50)
    assert process.returncode == 1, out + err
    assert err.startswith("error: Ray's head node, ")
    assert f":{nodes.port}, has not answered for 10 s; nothing that has ended is lost. " in err
    assert f"Continue with: {User.shown('sweeps/run.py')} --resume head" in err
    assert err.count("\n") == 1
