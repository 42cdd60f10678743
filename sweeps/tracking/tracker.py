"""The driver's interface to tracking: each call is one short write to a local spool.

A separate, niced process (`sweeps.replay`) sends the records to MLflow, so a slow or absent server
does not delay the driver, and a kill loses nothing that was logged.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from foldsweep import names
from foldsweep.errors import UserError
from foldsweep.programs import EpochLine
from sweeps.mirror import Mirror
from sweeps.tracking.spool import (
    CLOSE,
    DRIVER_LOCK,
    OPEN,
    SPOOL_FILE,
    Point,
    Progress,
    RunState,
    Spool,
    TrackingTarget,
    count_records,
    now_ms,
    num_set_aside,
    read_progress,
    run_states,
)

LOG_FILE = "uploader.log"
_START_WAIT_S = 5.0
_STOP_WAIT_S = 5.0
_RESPAWN_S = 60.0
_POLL_S = 0.05
SILENT_S = 2.0
"""Seconds that the end of a sweep waits for MLflow before it shows progress."""


class Tracker:
    """Logs one sweep; a folder has at most one tracker at a time.

    `number` is a trial's number in the study; None stands for the sweep itself. A tracker resumes
    the spool of an earlier driver: a run started again is the same run in MLflow, and metric
    points that a trial repeats after an older checkpoint are skipped.
    """

    def __init__(
        self, folder: Path, target: TrackingTarget, *, mirror: Mirror | None = None
    ) -> None:
        """Lock the folder and start the uploader.

        Args:
            folder: Folder of the spool.
            target: Where the records are sent.
            mirror: Copies them to `--storage`, for sweeps that any machine can resume; or None.

        Raises:
            UserError: If another driver is at work in the folder.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(folder / DRIVER_LOCK, timeout=_START_WAIT_S)
        try:
            self._lock.acquire()
        except Timeout:
            raise UserError.of(
                "tracker.already-running", sweep=target.sweep, folder=folder
            ) from None
        target.save(folder)
        self._folder = folder
        self._target = target
        self._mirror = mirror
        self._spool = Spool(folder / SPOOL_FILE)
        self._runs = run_states(folder / SPOOL_FILE)
        progress = self._progress()
        self._sent_before = progress.offset, progress.part
        self._refused_before = progress.refused
        self._spool.append(OPEN)
        self._start_uploader()

    def start_sweep(
        self,
        name: str,
        params: Mapping[str, Any],
        tags: Mapping[str, Any],
        dataset: Mapping[str, str] | None = None,
    ) -> None:
        """Open the run of the sweep; call it first, and again when the sweep is resumed.

        `dataset` has `name`, `digest` (36 characters at most), `source_type`, `source` and
        optionally `schema`, `profile` and `context` (`"training"`).
        """
        self._start(None, name, params, tags, dataset)

    def start_trial(
        self,
        number: int,
        name: str,
        params: Mapping[str, Any],
        tags: Mapping[str, Any],
        dataset: Mapping[str, str] | None = None,
    ) -> None:
        """Open the run of a trial, below the run of the sweep."""
        self._start(number, name, params, tags, dataset)
        if self._uploader.poll() is not None and time.monotonic() > self._started + _RESPAWN_S:
            self._start_uploader()

    def log_history(self, number: int | None, points: Iterable[Point]) -> None:
        """Log `(key, value, step, time_ms)` points; the steps of a key must rise."""
        last_step = self._state(number).last_step
        new = []
        for key, value, step, time_ms in points:
            if step > last_step.get(key, -1):
                last_step[key] = step
                new.append((key, float(value), step, time_ms))
        if new:
            self._append(number, "metrics", points=new)

    def log_metrics(self, number: int | None, metrics: Mapping[str, float], step: int = 0) -> None:
        """Log values of one step at the current time."""
        time_ms = now_ms()
        self.log_history(number, [(key, value, step, time_ms) for key, value in metrics.items()])

    def set_tags(self, number: int | None, tags: Mapping[str, Any]) -> None:
        """Set tags; a later value replaces an earlier one."""
        self._append(number, "tags", tags=_strings(tags))

    def log_node(self, number: int, node: str) -> None:
        """Add the machine of another attempt to the trial's tag `names.TAG_NODES`."""
        state = self._state(number)
        state.nodes = f"{state.nodes}; {node}" if state.nodes else node
        self._append(number, "tags", tags={names.TAG_NODES: state.nodes})

    def log_artifact(self, number: int | None, path: Path, to: str = "") -> None:
        """Attach a small local file to the folder `to` of the run's artifacts."""
        found, folder = path.absolute(), self._folder.absolute()
        inside = found.relative_to(folder) if found.is_relative_to(folder) else found
        self._append(number, "artifact", path=str(inside), to=to)
        if self._mirror is not None:
            self._mirror.add(path)

    def secure(self) -> None:
        """Wait until the mirror, if any, has copied all that was logged.

        Call it before a trial is ended in the study.
        """
        if self._mirror is not None:
            self._mirror.copy()

    def end_trial(self, number: int, status: str) -> None:
        """End a trial as `"FINISHED"`, `"FAILED"` or `"KILLED"`."""
        self._end(number, status)

    def open_trials(self) -> set[int]:
        """Trials whose runs have been started and not ended, by this driver or an earlier one."""
        return {int(run) for run, state in self._runs.items() if run and state.is_open}

    def end_sweep(self, status: str) -> None:
        """End the run of the sweep."""
        self._end(None, status)

    @property
    def problem(self) -> str:
        """Last error of the server, in one line; empty after a success."""
        return self._progress().problem

    @property
    def num_set_aside(self) -> int:
        """Number of invalid lines of the spool, which are copied to a file beside it."""
        return num_set_aside(self._folder)

    @property
    def refused(self) -> str:
        """Items that MLflow has refused since this tracker began, in one line; empty if none."""
        progress = self._progress()
        number = progress.refused - self._refused_before
        if number <= 0:
            return ""
        what = f"{number} item{'s' * (number != 1)}"
        return f"{what}, the last {progress.refusal}; see {self._folder / LOG_FILE}"

    def close(self, wait_s: float = 30.0) -> int:
        """End open runs as KILLED and wait for the uploader.

        The uploader is always ended: it is stopped if it sends nothing for `wait_s` seconds, or
        for 3 x `wait_s` if it has sent nothing yet, since it may still be importing MLflow.
        May be called from a handler of KeyboardInterrupt, and twice.

        If another driver may have taken over the sweep, no more records are written.

        Returns:
            Number of records that are not sent and stay in the spool.
        """
        if self._lock.is_locked and self._mirror is not None and not self._mirror.is_ours():
            self._spool.close()
            self._stop_uploader()
            self._lock.release()
        if self._lock.is_locked:
            for run in [run for run, state in self._runs.items() if state.is_open]:
                self._end(int(run) if run else None, "KILLED")
            self._spool.append(CLOSE)
            self._spool.close()
            if self._mirror is not None:
                self._mirror.copy_if_there()
            if self._uploader.poll() is not None:
                self._start_uploader()
            try:
                self._wait(wait_s)
            finally:
                self._stop_uploader()
                self._lock.release()
        return count_records(self._folder / SPOOL_FILE, self._progress().offset)

    def _wait(self, wait_s: float) -> None:
        furthest, since = (-1, 0), 0.0
        sent, whole = self._progress().offset, (self._folder / SPOOL_FILE).stat().st_size
        line, begun = EpochLine(100, "sent to MLflow, in percent:"), time.monotonic()
        while self._uploader.poll() is None:
            progress, now = self._progress(), time.monotonic()
            if now > begun + SILENT_S:
                line.done(100 * (progress.offset - sent) // max(1, whole - sent))
            place = progress.offset, progress.part
            has_begun = place != self._sent_before or progress.problem
            if place > furthest:
                furthest, since = place, now
            elif now > since + (wait_s if has_begun else 3 * wait_s):
                return
            time.sleep(_POLL_S)

    def _progress(self) -> Progress:
        return read_progress(self._folder, self._target.server)

    def _stop_uploader(self) -> None:
        """End the uploader; kill it if SIGTERM has no effect, as may happen during an import."""
        self._uploader.terminate()
        try:
            self._uploader.wait(_STOP_WAIT_S)
        except subprocess.TimeoutExpired:
            self._uploader.kill()
            self._uploader.wait()

    def _start_uploader(self) -> None:
        root = str(Path(__file__).parents[2])
        python_path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
        log_file = self._folder / LOG_FILE
        log_file.touch(mode=0o600)
        with log_file.open("ab") as log:
            self._uploader = subprocess.Popen(
                [sys.executable, "-P", "-m", "sweeps.replay", "--follow", self._folder.absolute()],
                env=os.environ | {"PYTHONPATH": python_path},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._started = time.monotonic()

    def _start(
        self,
        number: int | None,
        name: str,
        params: Mapping[str, Any],
        tags: Mapping[str, Any],
        dataset: Mapping[str, str] | None,
    ) -> None:
        state, given = self._state(number), _strings(params)
        state.is_open = True
        self._append(
            number,
            "start",
            time=now_ms(),
            name=name,
            # MLflow refuses changed parameters; settings that a resumed sweep may change are tags
            params={k: v for k, v in given.items() if state.params.get(k, v) == v},
            tags=_strings(tags),
            dataset=None if dataset is None else dict(dataset),
        )

    def _end(self, number: int | None, status: str) -> None:
        self._state(number).is_open = False
        self._append(number, "end", status=status, time=now_ms())

    def _append(self, number: int | None, op: str, **fields: Any) -> None:
        self._spool.append({"op": op, "run": _run(number), **fields})

    def _state(self, number: int | None) -> RunState:
        return self._runs.setdefault(_run(number), RunState())


def _run(number: int | None) -> str:
    return "" if number is None else str(number)


def _strings(values: Mapping[str, Any]) -> dict[str, str]:
    return {key: str(value) for key, value in values.items()}
