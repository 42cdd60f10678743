"""Jobs spread over processes: this one, and helpers that are started if the jobs take long.

A helper (`sweeps.helper`) imports only what the jobs need, so it is ready within seconds. The
result of a job does not depend on its process. If a helper ends, no result is lost: another
process repeats the job, at last this one.
"""

import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from functools import partial
from multiprocessing import Pipe
from typing import Any, Generic, Protocol, TypeVar

import torch
from ray import cloudpickle

from foldsweep.beside import beside
from foldsweep.errors import first_line, shown_error
from foldsweep.interrupts import signal_name
from foldsweep.programs import EpochLine, able_to_import
from foldsweep.texts import text
from sweeps.processors import available_cpus

R_co = TypeVar("R_co", covariant=True)
R = TypeVar("R")

HELP_AFTER_S = 2.0
"""Seconds of work after which helpers are started, about the time that a helper needs to start.
Shorter work does not start any."""
LOOK_EVERY_S = 1.0


class Job(Protocol[R_co]):
    """Work that any process can do; picklable."""

    @property
    def steps(self) -> int:
        """Number of steps that it reports."""

    def run(self, after_step: Callable[[int], None]) -> R_co:
        """Do the work; call `after_step` with the number of each step that is done."""


def places(*, device: str, threads: int, concurrency: int | None = None) -> list[dict[str, str]]:
    """Environment variables of each helper, one mapping per helper.

    There are as many helpers as the CPUs and GPUs allow in addition to this process.

    Args:
        device: Torch device of the jobs; each GPU has one process.
        threads: Torch threads of a process.
        concurrency: Most processes, this one included [as many as CPUs and GPUs allow].
    """
    room = max(1, available_cpus() // threads)
    found: list[dict[str, str]] = [{}] * room
    if device != "cpu":
        gpus = map(str, range(torch.cuda.device_count()))
        listed = os.environ.get("CUDA_VISIBLE_DEVICES")
        visible = [*gpus] if listed is None else listed.split(",")
        found = [{"CUDA_VISIBLE_DEVICES": gpu} for gpu in visible[:room]]
    return found[1:concurrency]


class Gone(Exception):
    """A helper has ended or failed; the message says why."""


class Helper:
    """Handle of a process that does jobs."""

    def __init__(self, jobs: bytes, place: Mapping[str, str]):
        self._connection, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(
                # -c instead of -m, as the module must keep its name; a group of its own, as
                # Ctrl-C must reach only the program, which ends its helpers
                [sys.executable, "-P", "-c", "from sweeps.helper import main; main()"]
                + [str(theirs.fileno())],
                env={**able_to_import(), **place},
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                process_group=0,
            )
        self._jobs: bytes | None = jobs

    def do(self, number: int, after_step: Callable[[int], None]) -> Any:
        """Return the result of a job, or the UserError that it raises.

        Raises:
            Gone: If the process has ended, or the job has failed with another error.
        """
        try:
            if self._jobs is not None:
                self._connection.send((beside.folders, self._jobs))
                self._jobs = None
            self._connection.send(number)
            while True:
                kind, said = self._connection.recv()
                if kind == "failed":
                    raise Gone(text("spread.helper-failed", error=said))
                if kind == "ended":
                    return said
                after_step(said)
        except (OSError, EOFError):
            code = self._process.wait()
        if code >= 0:
            raise Gone(text("spread.helper-ended", code=code))
        said = text("spread.helper-killed", signal=signal_name(-code))
        if -code == signal.SIGKILL:
            said += text("supervisor.as-without-memory")
        raise Gone(said)

    def end(self) -> None:
        """Kill the process, even during a job."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Kill the process and close the connection."""
        self.end()
        self._connection.close()


class Spread(Generic[R]):
    """Does jobs in this process and in helpers, in order."""

    def __init__(self, jobs: Sequence[Job[R]], helpers: Sequence[Mapping[str, str]], what: str):
        """Prepare the jobs; `results` does them.

        Args:
            jobs: The jobs.
            helpers: Environment variables of each helper, see `places`.
            what: Name of a step in the line on progress.
        """
        self._jobs = jobs
        self._places = helpers
        self._todo = deque(range(len(jobs)))
        self._ended: dict[int, R | Exception] = {}
        self._steps = [0] * len(jobs)
        self._line = EpochLine(sum(job.steps for job in jobs), what)
        self._news: deque[str] = deque()
        self._helpers: list[Helper] = []
        self._is_over = False
        self._change = threading.Condition()

    def results(self) -> Generator[R, None, None]:
        """Do the jobs and yield their results, in the order of the jobs.

        Raises:
            Exception: The error of a job, after the results of the jobs before it.
        """
        timer = threading.Timer(HELP_AFTER_S, self._call_helpers)
        timer.daemon = True
        if self._places and len(self._jobs) > 1:
            timer.start()
        try:
            for i in range(len(self._jobs)):
                while i not in self._ended:
                    self._go_on(i)
                self._show()
                self._line.clear()
                ended = self._ended.pop(i)
                if isinstance(ended, Exception):
                    raise ended
                yield ended
        finally:
            self._line.clear()
            timer.cancel()
            with self._change:
                self._is_over = True
                for helper in self._helpers:
                    helper.end()

    def _go_on(self, wanted: int) -> None:
        """Do the next job here; if there is none, wait up to `LOOK_EVERY_S` for job `wanted`."""
        while self._news:
            self._line.say(self._news.popleft())
        i = self._next()
        if i is None:
            with self._change:
                self._change.wait_for(lambda: wanted in self._ended or self._todo, LOOK_EVERY_S)
            self._show()
            return
        try:
            self._end(i, self._jobs[i].run(partial(self._count_here, i)))
        except Exception as error:  # `results` raises it in the order of the jobs
            self._end(i, error)

    def _next(self) -> int | None:
        with self._change:
            return self._todo.popleft() if self._todo and not self._is_over else None

    def _end(self, i: int, ended: R | Exception) -> None:
        with self._change:
            self._steps[i] = self._jobs[i].steps
            self._ended[i] = ended
            if isinstance(ended, Exception):  # later jobs are not needed
                self._todo = deque(job for job in self._todo if job < i)
            self._change.notify_all()

    def _count_here(self, i: int, step: int) -> None:
        self._count(i, step)
        self._show()

    def _count(self, i: int, step: int) -> None:
        self._steps[i] = step

    def _show(self) -> None:
        processes = 1 + len(self._helpers)
        where = text("spread.in-processes", processes=processes) if processes > 1 else ""
        self._line.done(sum(self._steps), where)

    def _call_helpers(self) -> None:
        try:
            jobs = cloudpickle.dumps(self._jobs)
        except Exception as error:  # pickling a user's object may raise any error
            self._news.append(text("spread.no-helpers", why=first_line(error)))
            return
        for place in self._places[: len(self._todo)]:
            threading.Thread(target=self._help, args=(jobs, place), daemon=True).start()

    def _help(self, jobs: bytes, place: Mapping[str, str]) -> None:
        """Start a helper and have it do jobs; runs in a thread of its own."""
        with self._change:
            if self._is_over:
                return
            try:
                helper = Helper(jobs, place)
            except OSError as error:  # a limit of processes or open files is reached
                self._news.append(text("spread.helper-not-started", why=error.strerror))
                return
            self._helpers.append(helper)
        while (i := self._next()) is not None:
            try:
                self._end(i, helper.do(i, partial(self._count, i)))
            except Exception as error:  # such as a result that cannot be unpickled
                gone = isinstance(error, Gone)
                failed = text("spread.helper-failed", error=shown_error(error))
                self._put_back(i, str(error) if gone else failed)
                break
        with self._change:
            self._helpers.remove(helper)
            helper.close()

    def _put_back(self, i: int, why: str) -> None:
        with self._change:
            if not self._is_over:
                self._steps[i] = 0
                self._todo.appendleft(i)
                self._news.append(text("spread.repeated", why=why))
                self._change.notify_all()
