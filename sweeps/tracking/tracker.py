"""Tracking of a sweep as its driver sees it: one short local write per call, MLflow elsewhere.

A separate, niced process (`sweeps.replay`) carries the records to MLflow, so neither a slow nor
an absent server costs the driver anything, and a kill loses nothing that was logged.
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
"""How long the end of a sweep waits for MLflow before it says how far that is."""


class Tracker:
    """Logs one sweep; at most one lives per folder.

    `number` is a trial's number in the study, None the sweep itself. Over the spool of an earlier
    driver it continues where that one stopped: a run started again is the same run in MLflow, and
    metric points that a trial repeats from an older checkpoint are skipped.
    """

    def __init__(
        self, folder: Path, target: TrackingTarget, *, mirror: Mirror | None = None
    ) -> None:
        """Take the folder and start the uploader.

        Args:
            folder: Folder of the spool.
            target: Where its records go.
            mirror: Copies them to where the sweep lives, if that is not the folder.

        Raises:
            UserError: If another driver is at work in the folder.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(folder / DRIVER_LOCK, timeout=_START_WAIT_S)
        try:
            self._lock.acquire()
        except Timeout:
            raise UserError(
                f"sweep {target.sweep!r} is already running ({folder} is in use): "
                "wait for it or stop it"
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

        `dataset` has `name`, `digest` (36 characters at most), `source_type`, `source` and, if
        wanted, `schema`, `profile` and `context` (`"training"`).
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
        """Log `(key, value, step, time_ms)` points; steps of one key must rise."""
        last_step = self._state(number).last_step
        new = []
        for key, value, step, time_ms in points:
            if step > last_step.get(key, -1):
                last_step[key] = step
                new.append((key, float(value), step, time_ms))
        if new:
            self._append(number, "metrics", points=new)

    def log_metrics(self, number: int | None, metrics: Mapping[str, float], step: int = 0) -> None:
        """Log values of one step, now."""
        time_ms = now_ms()
        self.log_history(number, [(key, value, step, time_ms) for key, value in metrics.items()])

    def set_tags(self, number: int | None, tags: Mapping[str, Any]) -> None:
        """Set tags; the last value of a tag counts."""
        self._append(number, "tags", tags=_strings(tags))

    def log_node(self, number: int, node: str) -> None:
        """Add the machine of another attempt to a trial's tag."""
        state = self._state(number)
        state.nodes = f"{state.nodes}; {node}" if state.nodes else node
        self._append(number, "tags", tags={names.TAG_NODES: state.nodes})

    def log_artifact(self, number: int | None, path: Path, to: str = "") -> None:
        """Attach a small local file, in the folder `to` of the run's artifacts."""
        found, folder = path.absolute(), self._folder.absolute()
        inside = found.relative_to(folder) if found.is_relative_to(folder) else found
        self._append(number, "artifact", path=str(inside), to=to)
        if self._mirror is not None:
            self._mirror.add(path)

    def secure(self) -> None:
        """Return once all that was logged is where the sweep lives.

        Call it before the study is told that a trial is over.
        """
        if self._mirror is not None:
            self._mirror.copy()

    def end_trial(self, number: int, status: str) -> None:
        """End a trial as `"FINISHED"`, `"FAILED"` or `"KILLED"`."""
        self._end(number, status)

    def open_trials(self) -> set[int]:
        """Trials whose runs have been started and not ended, also by an earlier driver."""
        return {int(run) for run, state in self._runs.items() if run and state.is_open}

    def end_sweep(self, status: str) -> None:
        """End the run of the sweep."""
        self._end(None, status)

    @property
    def problem(self) -> str:
        """What the server last failed with, in one line; empty while all is well."""
        return self._progress().problem

    @property
    def num_set_aside(self) -> int:
        """Lines of the spool that are no records and wait in a file beside it."""
        return num_set_aside(self._folder)

    @property
    def refused(self) -> str:
        """What MLflow did not take since this tracker began, in one line; empty if nothing."""
        progress = self._progress()
        number = progress.refused - self._refused_before
        if number <= 0:
            return ""
        what = f"{number} item{'s' * (number != 1)}"
        return f"{what}, the last {progress.refusal}; see {self._folder / LOG_FILE}"

    def close(self, wait_s: float = 30.0) -> int:
        """End what is still open as KILLED and wait for the uploader.

        No process of ours is left behind: an uploader that sends nothing for `wait_s` is stopped,
        or for three times as long if it has only now something to import MLflow for.
        May be called from a handler of KeyboardInterrupt, and twice.

        Where another driver may have the sweep, nothing more is said in its name.

        Returns:
            Number of records that wait in the folder because MLflow could not take them.
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
        """End the uploader; a library that it was just importing may have eaten the signal."""
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
            # a resumed sweep's changed ones would be refused; what may change is in tags
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
