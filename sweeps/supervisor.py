"""Supervisor of the driver, a separate process for all code that needs Ray.

Ray's core may end a process below Python, where no handler runs. So the program that the user
started never imports Ray. It starts `sweeps.driver` and passes Ctrl-C on. If Ray ends the driver,
it reports in one line what happened and how to continue.
"""

import codecs
import json
import os
import pickle
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, BinaryIO, TextIO

from foldsweep.interrupts import INTERRUPTED, signal_name
from foldsweep.programs import able_to_import, console
from foldsweep.texts import text

HELD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
RAY_ENVIRONMENT = {
    # Ray reads these when it is imported
    "RAY_DISABLE_FAILURE_SIGNAL_HANDLER": "1",  # it would report SIGTERM as a crash
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # under `uv run` it sends this folder to workers
}
LOOK_EVERY_S = 0.5
STOPPED_S = 5.0
"""Seconds that a process of Ray may be stopped before it counts as ended."""
SOON_S = 0.5
END_WITHIN_S = 5.0
CLEARED_WITHIN_S = 15.0
ENDED = "ZX"
"""States of processes that have ended, see `_state`."""
ENOUGH = 3
"""The third Ctrl-C kills the driver."""


def apart(call: str, *arguments: object) -> int:
    """Run a function in a driver, a process that may use Ray; return the exit code.

    Args:
        call: Dotted name of the function, which returns the exit code.
        arguments: Its arguments, which must be picklable.
    """
    supervisor = Supervisor()
    code = supervisor.run(call, *arguments)
    if supervisor.what_happened:
        if console.is_terminal:
            console.show_cursor()
            console.print()
        print(f"error: {supervisor.what_happened}", file=sys.stderr)
    return code


class Supervisor:
    """Starts and watches one driver.

    `known` holds the messages of the driver: `sweep`, the name of the sweep; `resume`, the command
    that continues it; `log`, the file of Ray's own messages; `ray`, the ids of Ray's processes by
    name; `gone`, what a cluster has lost; `error`, the exception for a Python program to raise;
    `ended`, whether the driver ends by itself. `signal` is the last signal that the user has sent.
    `what_happened` says in one line why the driver ended, if it did not end by itself.

    Args:
        relayed: Streams for the driver's output and errors [those of this process].
        show: Shows an output that the driver has sent as `shown`, by its number.
    """

    def __init__(
        self,
        relayed: tuple[TextIO, TextIO] | None = None,
        show: Callable[[int, Any], None] | None = None,
    ) -> None:
        self.known: dict[str, Any] = {"ray": {}}
        self.relayed = relayed
        self._show = show
        self._to_show: dict[int, Any] = {}
        self.what_happened = ""
        self.signal: int | None = None
        self._unread = b""
        self.asked = 0
        self.stopped_s = 0.0
        self.killed = False

    def run(self, call: str, *arguments: object) -> int:
        """Run a function in a driver, see `apart`."""
        told, tells = os.pipe()
        os.set_blocking(told, False)
        with open(told, encoding="utf-8"), _unnamed_file() as dumps:
            # the user's signals are blocked until the driver can receive them
            signal.pthread_sigmask(signal.SIG_BLOCK, HELD)
            try:
                self.driver = _start(tells, dumps.fileno(), relayed=self.relayed is not None)
                self._relays = _relays(self.driver, self.relayed)
                os.close(tells)
                with self._handlers():
                    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD)
                    self._send(call, arguments)
                    gone = self._wait(told)
                    code = self.driver.wait()
                    self._read_to_end(told)
                    self._close()
                    self._show_latest()
            finally:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD)
            if code == INTERRUPTED or self.known.get("ended"):
                return code if code >= 0 else 1
            self.what_happened = self._what_happened(code, gone, dumps)
            return INTERRUPTED if self.asked >= ENOUGH else 1

    def _close(self) -> None:
        assert self.driver.stdin is not None
        with suppress(BrokenPipeError):
            self.driver.stdin.close()
        for relay in self._relays:
            relay.close()

    def _send(self, *what: object) -> None:
        assert self.driver.stdin is not None
        with suppress(BrokenPipeError):
            pickle.dump(what, self.driver.stdin)
            self.driver.stdin.flush()

    @contextmanager
    def _handlers(self) -> Iterator[None]:
        """Handle the user's signals, unless they are ignored; only possible in the main thread."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        taken: dict[int, Any] = {number: self._pass_on for number in HELD}
        taken[signal.SIGTSTP] = self._pause
        before = {
            number: signal.signal(number, handler)
            for number, handler in taken.items()
            if signal.getsignal(number) not in (signal.SIG_IGN, None)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        self.asked, self.signal = self.asked + 1, number
        if self.asked < ENOUGH:
            self.driver.send_signal(signal.SIGTERM)
        else:
            self.driver.kill()

    def _pause(self, number: int, frame: FrameType | None) -> None:
        """Ctrl-Z: stop the driver's process group and this process; later continue both."""
        with suppress(ProcessLookupError):
            os.killpg(self.driver.pid, signal.SIGSTOP)
            os.kill(os.getpid(), signal.SIGSTOP)
            os.killpg(self.driver.pid, signal.SIGCONT)

    def _wait(self, told: int) -> str:
        """Wait until the driver ends; end it if Ray is gone. Return what was missing, or empty."""
        gone = ""
        watched = _Watched()
        watched.add("driver", self.driver.pid)
        while self.driver.poll() is None:
            watched.wait([told, *(relay.descriptor for relay in self._relays if relay.is_open)])
            self._read(told)
            for relay in self._relays:  # output that was written before a message is shown first
                relay.pass_on()
            self._show_latest()
            for name, pid in self.known["ray"].items():
                watched.add(name, pid)
            gone = gone or self._missing()
            self._read(told)
            if not self.known["ray"]:  # the driver has ended Ray
                gone = ""
            if gone:
                self._end_driver()
            elif self.known.get("gone"):  # the driver's calls to Ray would wait for a minute
                gone = self.known["gone"]
                self.killed = True
                self.driver.kill()
        watched.close()
        return gone

    def _end_driver(self) -> None:
        """End a driver whose Ray is gone; it would print pages of errors, or hang for a minute.

        If the driver itself is killed, all processes of Ray end with it, and the driver may end a
        little later. So it is waited for if no process of Ray is left.
        """
        for grace in (SOON_S, END_WITHIN_S):
            with suppress(subprocess.TimeoutExpired):
                self.driver.wait(grace)
                return
            if any(_state(pid) not in ENDED for pid in self.known["ray"].values()):
                break
        self.killed = True
        self.driver.kill()

    def _missing(self) -> str:
        """Description of a process of Ray that has ended or is stopped; empty if there is none."""
        states = {name: _state(pid) for name, pid in self.known["ray"].items()}
        for name, state in states.items():
            if state in ENDED:
                return text("supervisor.process-ended", process=name)
        stopped = next((name for name, state in states.items() if state in "Tt"), None)
        self.stopped_s = 0.0 if stopped is None else self.stopped_s + LOOK_EVERY_S
        if stopped is None or self.stopped_s <= STOPPED_S:
            return ""
        return text("supervisor.process-stopped", process=stopped)

    def _read(self, told: int) -> bool:
        """Read the messages of the driver; return whether more may follow."""
        is_open = True
        with suppress(BlockingIOError):
            while is_open:
                got = os.read(told, 65536)
                self._unread += got
                is_open = bool(got)
        *lines, self._unread = self._unread.split(b"\n")
        for line in lines:
            with suppress(ValueError):  # the message is incomplete, for example after a signal
                self._take(json.loads(line))
        return is_open

    def _take(self, facts: dict[str, Any]) -> None:
        if "shown" in facts:
            number, what = facts.pop("shown")
            self._to_show[number] = what
        self.known |= facts

    def _show_latest(self) -> None:
        """Show the latest version of each output."""
        shown, self._to_show = self._to_show, {}
        for number, what in shown.items():
            if self._show is not None:
                self._show(number, what)

    def _read_to_end(self, told: int) -> None:
        """Read messages until the process that cleans up after Ray has ended, too."""
        deadline = time.monotonic() + CLEARED_WITHIN_S
        while self._read(told) and time.monotonic() < deadline:
            select.select([told], [], [], LOOK_EVERY_S)

    def _what_happened(self, code: int, gone: str, dumps: BinaryIO) -> str:
        """Why the driver has ended, in one line."""
        if self.asked >= ENOUGH:
            said = text("supervisor.ended-at-once")
        elif code < 0 and not self.killed:
            said = text("supervisor.killed", signal=signal_name(-code))
            if code == -signal.SIGKILL:
                said += text("supervisor.as-without-memory")
        else:
            said = gone or text("supervisor.ended-by-ray")
        if self.known.get("resume"):
            said = text("commands.service-lost", why=said, resume=self.known["resume"])
        log = _kept(self.known.get("log"), dumps)
        return said if log is None else said + text("supervisor.log", file=log)


class _Relay:
    """Copies a driver's output to a Python stream, which need not be a file of the system."""

    def __init__(self, pipe: BinaryIO, stream: TextIO):
        self.pipe, self.stream = pipe, stream
        self.descriptor = pipe.fileno()
        os.set_blocking(self.descriptor, False)
        self.is_open = True
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def pass_on(self) -> None:
        """Copy the available output, without waiting for more."""
        with suppress(BlockingIOError):
            while self.is_open:
                got = os.read(self.descriptor, 65536)
                self.is_open = bool(got)
                self.stream.write(self._decoder.decode(got, final=not got))
        self.stream.flush()

    def close(self) -> None:
        """Copy the remaining output and close the pipe."""
        self.pass_on()
        self.pipe.close()


def _relays(
    driver: "subprocess.Popen[bytes]", streams: tuple[TextIO, TextIO] | None
) -> list[_Relay]:
    if streams is None:
        return []
    pipes: Any = (driver.stdout, driver.stderr)
    return [_Relay(pipe, stream) for pipe, stream in zip(pipes, streams, strict=True)]


class _Watched:
    """File descriptors that become readable when a process ends, if the system has pidfds."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.ends: list[int] = []

    def add(self, name: str, pid: int) -> None:
        if name not in self.names:
            self.names.add(name)
            with suppress(OSError, AttributeError):
                self.ends.append(os.pidfd_open(pid))

    def wait(self, pipes: list[int]) -> None:
        """Wait until a process ends or a pipe is readable, at most `LOOK_EVERY_S` seconds."""
        ready, _, _ = select.select([*pipes, *self.ends], [], [], LOOK_EVERY_S)
        for end in set(ready) - set(pipes):
            self.ends.remove(end)
            os.close(end)

    def close(self) -> None:
        for end in self.ends:
            os.close(end)


def _start(tells: int, dumps: int, *, relayed: bool) -> "subprocess.Popen[bytes]":
    """Start a driver in its own process group, so that a terminal signals this program only."""
    in_utf8 = {"PYTHONIOENCODING": "utf-8:backslashreplace"} if relayed else {}
    # a stream that is closed here must be open in the driver
    output, errors = (
        subprocess.PIPE if relayed else None if stream is not None else subprocess.DEVNULL
        for stream in (sys.stdout, sys.stderr)
    )
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "sweeps.driver", str(tells), str(dumps)],
        env=able_to_import() | RAY_ENVIRONMENT | in_utf8,
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=errors,
        pass_fds=(tells, dumps),
        process_group=0,
    )


def _state(pid: int) -> str:
    """State of a process, as in /proc: such as R, S, T (stopped), Z or X (both ended)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(") ")[2][0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


def _unnamed_file() -> BinaryIO:
    """File for Ray's own messages until the sweep has a folder."""
    try:
        return tempfile.TemporaryFile()
    except OSError:
        return open(os.devnull, "r+b")


def _kept(log: str | None, dumps: BinaryIO) -> str | None:
    """Path of the file with Ray's own messages; None if there are none."""
    with suppress(OSError):
        if log is None and dumps.seek(0, os.SEEK_END):
            dumps.seek(0)
            with tempfile.NamedTemporaryFile(prefix="foldsweep-ray-", delete=False) as file:
                shutil.copyfileobj(dumps, file)
            return file.name
        if log is not None and Path(log).stat().st_size:
            place = Path(log)
            here = place.is_relative_to(Path.cwd())
            return str(place.relative_to(Path.cwd()) if here else place)
    return None
