"""Sealed run of a program: in a forked process, no Ray, no network, bounded time and memory.

Trials run one after another in the process itself, with the sweep's own searcher and scheduler.
"""

import os
import pickle
import resource
import runpy
import shutil
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.fuzz.box import ROOT, Box

CPU_S = 8
"""Processor seconds of a case; a program that uses them up is ended and counts as accepted."""
WALL_S = 60.0
"""Time limit of a case in seconds; a program that has used little processor time by then hangs."""
MORE_MEMORY = 6 * 2**30
LARGEST_FILE = 256 * 2**20
CUT_AFTER = 1
"""Number of the trial whose checkpoint triggers the interruption of a sweep, if requested."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """End of a program."""

    code: int | None
    """Exit code; None if a signal ended the program."""
    signal: int | None
    seconds: float
    cpu_s: float
    """Processor seconds, including child processes that it waited for."""
    out: str
    err: str

    @property
    def cut_off(self) -> bool:
        """Whether the program was busy until its time limit."""
        return self.signal in (signal.SIGXCPU, signal.SIGKILL) and not self.hung

    @property
    def hung(self) -> bool:
        """Whether the program was idle until its time limit."""
        return self.signal == signal.SIGKILL and self.cpu_s < CPU_S / 4


def run(box: Box, program: str, args: Sequence[str], *, cut: bool = False) -> Ended:
    """Run one of this repository's programs, such as `sweeps/run.py`, as from a shell in the box.

    Args:
        box: Sandbox to run it in.
        program: Path in the repository.
        args: Arguments of the program.
        cut: Whether to interrupt a sweep in its second trial.
    """
    out, err = box.root / "stdout", box.root / "stderr"
    sys.stdout.flush()
    sys.stderr.flush()
    started = time.monotonic()
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            code = _child(box, program, args, out, err, cut)
        finally:
            os._exit(code)
    while True:
        ended, status, used = os.wait4(pid, os.WNOHANG)
        if ended:
            break
        if time.monotonic() > started + WALL_S:
            os.kill(pid, signal.SIGKILL)
            _, status, used = os.wait4(pid, 0)
            break
        time.sleep(0.002)
    return Ended(
        code=os.WEXITSTATUS(status) if os.WIFEXITED(status) else None,
        signal=os.WTERMSIG(status) if os.WIFSIGNALED(status) else None,
        seconds=time.monotonic() - started,
        cpu_s=used.ru_utime + used.ru_stime,
        out=out.read_text(errors="replace"),
        err=err.read_text(errors="replace"),
    )


def _child(box: Box, program: str, args: Sequence[str], out: Path, err: Path, cut: bool) -> int:
    for path, number in ((out, 1), (err, 2)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, number)
    os.chdir(box.work)
    for name in [n for n in os.environ if n.startswith(("MLFLOW_", "FOLDSWEEP_", "RAY_"))]:
        del os.environ[name]
    os.environ |= {
        "HOME": str(box.home),
        "TMPDIR": str(box.tmp),
        "FOLDSWEEP_DATA": str(box.root / "no-mnist"),
        "COLUMNS": "100",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    tempfile.tempdir = None
    _limit()
    _seal(cut)
    path = str(ROOT / program)
    sys.argv = [path, *args]
    sys.path.insert(0, str(Path(path).parent))
    code: Any = 0
    try:
        runpy.run_path(path, run_name="__main__")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except Accepted:
        code = 0
    except BaseException:
        traceback.print_exc()
        code = 1
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            code = 1
    return code


def _limit() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    memory = pages * resource.getpagesize() + MORE_MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.default_int_handler)


class Accepted(BaseException):
    """Raised when a program reaches work that is not done here, such as starting Ray."""


def in_place(call: str, *arguments: object) -> int:
    """Call a function in this process that a program would call in a separate process."""
    module, _, name = call.rpartition(".")
    function: Callable[..., int] = getattr(import_module(module), name)
    return function(*pickle.loads(pickle.dumps(arguments)))


def _accept(*args: Any, **options: Any) -> None:
    raise Accepted


def _seal(cut: bool) -> None:
    """Replace Ray, other processes and the network by harmless substitutes."""
    import ray
    from ray import tune

    from sweeps.cluster import Cluster
    from sweeps.machines import Machines
    from sweeps.resources import Allotment

    def enter(self: Any) -> Allotment:
        allotment = Allotment(cpus=1.0, gpus=0.0, concurrency=1)
        self.machines = Machines.fixed(allotment)
        return allotment

    here: Any = Cluster
    here.start = lambda self: None
    here.stop = lambda self: None
    here.__enter__ = enter
    here.__exit__ = lambda self, *exception: None
    if find_spec("sweeps.supervisor") is not None:  # it starts the process with Ray
        supervisor: Any = import_module("sweeps.supervisor")
        supervisor.apart = in_place
    core: Any = ray
    core.init = core.put = _accept
    there: Any = tune
    there.with_parameters = lambda trainable, **values: (trainable, values)
    there.run = _run_here
    if cut:
        _interrupt_after_checkpoint()
    sys.executable = shutil.which("true") or "/bin/true"  # stands in for uploaders and servers
    connect = socket.socket.connect

    def local(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "localhost", "::1"):
            raise OSError(101, "Network is unreachable")
        connect(self, address)

    def unknown(host: Any, *args: Any, **options: Any) -> Any:
        if host in ("127.0.0.1", "localhost", "::1", None):
            return resolve(host, *args, **options)
        raise socket.gaierror(-2, "Name or service not known")

    resolve = socket.getaddrinfo
    net: Any = socket
    net.socket.connect, net.getaddrinfo = local, unknown


def _interrupt_after_checkpoint() -> None:
    """Simulate Ctrl-C in the middle of a trial."""
    from trainables import trainable

    save = trainable.save_checkpoint

    def save_and_stop(folder: str, number: int, state: dict[str, Any]) -> int:
        saved = save(folder, number, state)
        if number == CUT_AFTER:
            raise KeyboardInterrupt
        return saved

    trainable.save_checkpoint = save_and_stop


def _run_here(
    trainable: tuple[Any, dict[str, Any]],
    *,
    search_alg: Any,
    scheduler: Any,
    callbacks: Sequence[Any],
    **options: Any,
) -> None:
    """Run a sweep in this process, as Ray Tune would."""
    kind, values = trainable
    for key in map(str, range(10**6)):
        config = search_alg.suggest(key)
        if not isinstance(config, dict):
            return
        actor = kind.__new__(kind)
        actor.setup(config, **values)
        while True:
            result = actor.step()
            callbacks[0].on_trial_result(0, [], SimpleNamespace(trial_id=key), result)
            if result["done"] or scheduler.lifecycle.result(key, result):
                search_alg.on_trial_complete(key, result)
                break
