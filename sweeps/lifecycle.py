"""The life of each trial as the driver sees it: asked, trained, ended; in study and spool alike.

Order matters where a kill may fall between two writes. Before the study says that a trial is
over, what was measured goes to the spool, and what it came to on held-out rows to a file and the
spool; after that the run's end goes to the spool. A resumed sweep finds either a trial to run
again, whose repeated metrics the spool recognises, or an ended trial whose run it closes.
"""

import json
import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from optuna.trial import TrialState

from foldsweep import names
from foldsweep.errors import UserError
from foldsweep.files import write_whole
from search_spaces.space import SearchSpace
from sweeps.ended import failure_of
from sweeps.ledger import Asked, Ledger
from sweeps.outages import Outages
from sweeps.saved import Saved
from sweeps.summary import Outcome, outcome, ranking
from sweeps.tracking.tracker import Tracker
from trainables.trainable import (
    BY_FOLD,
    DIVERGED,
    FAILED,
    HISTORY,
    LAST_ERROR,
    REPORTED_AT,
    SAVED_BYTES,
    TRIAL_NUMBER,
    UNSAVED,
)

RUN_STATUS = {
    TrialState.COMPLETE: "FINISHED",
    TrialState.PRUNED: "FINISHED",
    TrialState.FAIL: "FAILED",
}
LEAST_ENDED_TO_GIVE_UP = 5
"""Trials that must have ended before a majority of failures stops the sweep."""
REFUSED_TO_GIVE_UP = 20
"""Refused trials in a row that stop it: combinations of which so many fail are no space."""
MOST_LOST = 10
"""How often a trial may lose its machine. None is the trial's fault, unless it is what brings its
machines down, one after another; a long trial on machines that are taken away goes on from its
checkpoint each time."""


@dataclass(kw_only=True)
class Running:
    """A trial in training."""

    asked: Asked
    epochs: int = 0
    """Of the whole trial."""
    epoch: int = 0
    score: float | None = None
    """The objective after that epoch, where it is known; a mean over folds."""
    node: str = ""
    """Host name and address, once known."""
    since: float = 0.0
    """When it got its process, by the monotonic clock."""
    pretrain_epochs: int = 0
    best: dict[str, float] = field(default_factory=dict)
    stopped: bool = False
    has_process: bool = False
    machine_lost: bool = False
    error: str = "unknown error"
    failure: str = names.CRASHED
    traceback: Path | None = None
    held_out: bytes | None = None


class Lifecycle:
    """Connects the ledger, the tracker and whatever schedules trials.

    A scheduler's own name of a trial is its `key`; `start` binds it to the trial's number.

    Args:
        ledger: The sweep's study.
        tracker: The sweep's spool.
        space: What is searched.
        objective: Metrics that the study optimises, in its order.
        epochs: Epochs of a trial that is not stopped early.
        report_at: Epochs that the study is told of.
        tags: Tags of every run of the sweep.
        dataset: MLflow's dataset record.
        checkpoint_folder: Where trials in training are checkpointed.
        error_folder: Local folder of the tracebacks of trials that crashed.
        held_out_folder: Local folder of what complete trials came to on each held-out row.
        time_budget: Seconds until the sweep is `out_of_time`.
        max_failures: How often a trial that crashed is tried again.
        outages: Knows which services are away.
    """

    def __init__(
        self,
        ledger: Ledger,
        tracker: Tracker,
        *,
        space: SearchSpace,
        objective: tuple[str, ...],
        epochs: int,
        report_at: Sequence[int],
        tags: Mapping[str, str],
        dataset: Mapping[str, str],
        checkpoint_folder: str,
        error_folder: Path,
        held_out_folder: Path,
        time_budget: float | None,
        max_failures: int = 0,
        outages: Outages | None = None,
    ):
        self.ledger = ledger
        self.tracker = tracker
        self.space = space
        self.objective = objective
        self.epochs = epochs
        self.report_at = report_at
        self.tags = dict(tags)
        self.dataset = dict(dataset)
        self.checkpoint_folder = checkpoint_folder
        self.error_folder = error_folder
        self.held_out_folder = held_out_folder
        self.better = space.variant.task.better
        self.deadline = math.inf if time_budget is None else time.monotonic() + time_budget
        self.max_failures = max_failures
        self.crashes: Counter[int] = Counter()
        self.losses: Counter[int] = Counter()
        self.signatures: dict[int, str] = {}
        """The last failure of a trial that may be tried again, see `trainables.refusals`."""
        self.running: dict[str, Running] = {}
        ended = ledger.ended()
        self.ended: Counter[TrialState] = Counter(t.state for t in ended)
        self._ended_before = self.ended.copy()
        self.ended_here = 0
        self.paused_here = 0
        self.epochs_here = 0
        """Epochs that trials have trained here, those that have not ended included."""
        self.epochs_of_ended = 0
        self.failures = Counter(t.failure for t in ended if t.failure is not None)
        self._refused_before = self.failures[names.REFUSED]
        self._refused_in_a_row = 0
        self.last_error: str | None = None
        best = next(iter(ranking(ledger, objective)), None)
        self.best: Outcome | None = None if best is None else outcome(ledger, best)
        self.outages = outages or Outages()
        self.saved = Saved(checkpoint_folder, self.outages)
        self.paused = ledger.paused()
        """Trials that wait at a rung, with the epochs that they have; some may be promoted."""
        self._errors: dict[int, str] = {}
        self._close_ended_runs()

    def start(self, key: str) -> dict[str, Any] | None:
        """The configuration of the next trial, with its number; None if there is none."""
        while not self.hopeless and (asked := self.ledger.ask()) is not None:
            self.running[key] = Running(asked=asked)
            self.paused.pop(asked.number, None)
            self.saved.resume(asked.number)
            try:
                config = self.space.of_trial(asked.values, self.epochs)
                if self.ledger.gate is not None:
                    self.ledger.gate.require(config)
            except UserError as error:
                self._log_start(asked, asked.values, is_whole=False)
                self.crashed(key, f"not a valid configuration: {error}")
                self.fail(key, names.REFUSED)
                continue
            self.running[key].pretrain_epochs = config.pretrain_epochs
            self.running[key].epochs = config.epochs
            self._log_start(asked, self.space.active(config.to_dict()))
            more: dict[str, Any] = {TRIAL_NUMBER: asked.number}
            if asked.reported_at is not None:
                more[REPORTED_AT] = asked.reported_at
            if asked.number in self.signatures:
                more[LAST_ERROR] = self.signatures[asked.number]
            return {**config.to_dict(), **more}
        return None

    def placed(self, key: str, node: str | None = None) -> None:
        """Note that a trial has a process now and, as soon as it is known, on which node."""
        running = self.running.get(key)
        if running is None:
            return
        if not running.has_process:
            running.has_process, running.since = True, time.monotonic()
        if node is not None:
            running.node = node
            self.tracker.log_node(running.asked.number, node)

    def result(self, key: str, result: Mapping[str, Any]) -> bool:
        """Take in a report of a trial that could go on; whether its process should stop."""
        running = self.running[key]
        self._log_result(running, result)
        if self.ledger.rungs:  # the study pauses it by what is written of the report
            number = running.asked.number
            self.tracker.log_metrics(number, self._final_metrics(running, result), running.epoch)
            self.tracker.secure()
        running.stopped = self._report(running, result)
        return running.stopped

    def take_held_out(self, key: str, content: bytes) -> None:
        """Take in the file of a trial's held-out rows, which `end` keeps if it is complete."""
        self.running[key].held_out = content

    def end(self, key: str, result: Mapping[str, Any]) -> None:
        """Record a trial that has trained its last epoch, with its last report."""
        running = self.running[key]
        if FAILED in result:
            kind, error, traceback = result[FAILED]
            self.crashed(key, error, traceback)
            self.fail(key, kind)
            return
        number = running.asked.number
        if running.stopped and self.ledger.rungs:
            self._pause(key, result)
            return
        self._log_result(running, result)
        if result[DIVERGED]:
            self.crashed(key, f"a loss became infinite or NaN in epoch {result[names.EPOCH]}")
            self.fail(key, names.DIVERGED)
            return
        self.tracker.log_metrics(number, self._final_metrics(running, result), running.epoch)
        if running.stopped:
            self.tracker.secure()
            self.ledger.prune(number, _kept(result))
            self._close(key, TrialState.PRUNED)
        else:
            self._keep_held_out(running)
            if self.ledger.prunes:
                self._report(running, result, ended=True)
            self.tracker.secure()
            values = [float(result[o]) for o in self.objective]
            self.ledger.complete(number, values, _kept(result))
            self._update_best(number)
            self._close(key, TrialState.COMPLETE)

    def crashed(
        self, key: str, error: str, traceback: str = "", signature: str | None = None
    ) -> None:
        """Note why a trial failed; `lost` decides whether it is tried again.

        Args:
            key: The scheduler's name of the trial.
            error: The cause in a line.
            traceback: Kept in a file of the sweep's folder, which the line names.
            signature: By which the next attempt knows the same failure; None if it has none.
        """
        running = self.running[key]
        if running.failure == names.TIMED_OUT:
            return  # its process was ended
        if traceback:
            self.error_folder.mkdir(parents=True, exist_ok=True)
            running.traceback = self.error_folder / f"trial_{running.asked.number:05d}.txt"
            write_whole(running.traceback, traceback)
            error = f"{error}; traceback in {_from_here(running.traceback)}"
        if signature is not None:
            self.signatures[running.asked.number] = signature
        running.error = error
        self.last_error = f"trial {running.asked.number}: {error}"
        self._errors.pop(running.asked.number, None)
        self._errors[running.asked.number] = self.last_error

    def timed_out(self, key: str, seconds: float) -> None:
        """Note that a trial took longer than it may; its process is being ended."""
        self.crashed(key, f"ended after {seconds:g} s (--trial-timeout)")
        self.running[key].failure = names.TIMED_OUT

    def machine_lost(self, key: str, what: str) -> None:
        """Note that a trial ended for what happened to its machine; `lost` has it tried again."""
        running = self.running[key]
        running.machine_lost = running.failure != names.TIMED_OUT
        again = self.losses[running.asked.number] + 1 < MOST_LOST
        self.crashed(key, f"{what}; it is tried again" if again else f"{what}, {MOST_LOST} times")

    def lost(self, key: str) -> None:
        """Have a trial that crashed tried again, or record that it did so too often.

        One that took longer than it may would do so again. One that lost its machine did not
        crash: it is given back, `MOST_LOST` times at most. Not left to Ray, which tries none again
        whose process dies between two trials.
        """
        number = self.running[key].asked.number
        if self.running[key].machine_lost:
            self.losses[number] += 1
            if self.losses[number] < MOST_LOST:
                del self.running[key]
                self.ledger.give_back(number)
            else:
                self.fail(key)
            return
        self.crashes[number] += 1
        timed_out = self.running[key].failure == names.TIMED_OUT
        if timed_out or self.crashes[number] > self.max_failures:
            self.fail(key)
        else:
            del self.running[key]
            self.ledger.give_back(number)

    def give_all_back(self) -> None:
        """Have all trials in training tried again: what ran them has ended."""
        for running in self.running.values():
            self.ledger.give_back(running.asked.number)
        self.running.clear()

    def fail(self, key: str, kind: str | None = None) -> None:
        """Record a trial that diverged, was refused, or crashed more often than it may."""
        self.ledger.hold()
        running = self.running[key]
        running.failure = kind or running.failure
        if running.traceback is not None:
            self.tracker.log_artifact(running.asked.number, running.traceback)
        self.failures[running.failure] += 1
        self.tracker.secure()
        self.ledger.fail(running.asked.number, running.error, running.failure)
        self._close(key, TrialState.FAIL, running.error, running.failure)

    @property
    def num_training(self) -> int:
        """Trials that have a process; others wait for one."""
        return sum(running.has_process for running in self.running.values())

    @property
    def num_paused(self) -> int:
        """Trials that wait at a rung and are not to be promoted, as far as is known."""
        return sum(map(self.ledger.is_paused, self.paused))

    @property
    def remaining_error(self) -> str | None:
        """The last error of a trial that has not ended well since."""
        return next(reversed(self._errors.values()), None)

    @property
    def out_of_time(self) -> bool:
        """Whether the time budget is spent."""
        return time.monotonic() >= self.deadline

    @property
    def hopeless(self) -> bool:
        """Whether most trials fail since the sweep was resumed: the cause may be mended.

        Refused trials cost next to nothing: others are tried until `REFUSED_TO_GIVE_UP` in a row
        are refused.
        """
        here = self.ended - self._ended_before
        refused = self.failures[names.REFUSED] - self._refused_before
        ended, failed = here.total() - refused, here[TrialState.FAIL] - refused
        most_fail = ended >= LEAST_ENDED_TO_GIVE_UP and 2 * failed > ended
        return most_fail or self._refused_in_a_row >= REFUSED_TO_GIVE_UP

    def _pause(self, key: str, result: Mapping[str, Any]) -> None:
        """Leave a trial as it is, which may be promoted later."""
        running = self.running.pop(key)
        number, sign = running.asked.number, names.sign(self.better[self.objective[0]])
        score = sign * float(result[self.objective[0]])
        self.paused[number] = running.epoch
        self.paused_here += 1
        self.saved.pause(number, running.epoch, score, int(result.get(SAVED_BYTES, 0)))
        self._errors.pop(number, None)
        self._end_paused(number)

    def _report(self, running: Running, result: Mapping[str, Any], *, ended: bool = False) -> bool:
        """Tell the study of a report, and of epochs in `report_at` that came before it.

        Skips pretraining epochs, so that no trial is pruned on an untrained head.
        """
        number, name, stop = running.asked.number, self.objective[0], False
        reports = [row for row in result[HISTORY][:-1] if row[names.EPOCH] in self.report_at]
        if ended or result[names.EPOCH] in self.report_at:
            reports.append(result)
        for row in reports:
            if row[names.EPOCH] > running.pretrain_epochs:
                # a metric over all rows is in some rows only, the number of parameters in none
                value = row[name] if name in row else result[name]
                epoch = int(row[names.EPOCH])
                kept = _kept(result)
                stop = self.ledger.report(number, epoch, value, kept, ended=ended) or stop
                if stop and not ended:
                    break
        return stop

    def _keep_held_out(self, running: Running) -> None:
        """Write the file of a trial's held-out rows, and have it attached to the trial's run.

        The study has no complete trial without its file: a kill before it says so has the trial
        run again, which writes the same.
        """
        if running.held_out is None:
            return
        number = running.asked.number
        self.held_out_folder.mkdir(parents=True, exist_ok=True)
        path = self.held_out_folder / names.held_out_file(number)
        write_whole(path, running.held_out)
        self.tracker.log_artifact(number, path, names.HELD_OUT)

    def _update_best(self, number: int) -> None:
        """Equals go by number, not by who ended first, so that a resumed sweep names the same."""
        sign, best = names.sign(self.better[self.objective[0]]), self.best
        new = self.ledger.end_of(number)
        if best is None or (-sign * new.score, number) < (-sign * best.score, best.number):
            self.best = outcome(self.ledger, new)

    def _log_start(
        self, asked: Asked, params: Mapping[str, Any], *, is_whole: bool = True
    ) -> None:
        tags = {**self.tags, names.TAG_KIND: "trial", names.TAG_TRIAL: str(asked.number)}
        if asked.reported_at:  # it may have been paused
            tags[names.TAG_STATE] = TrialState.RUNNING.name
        if is_whole:
            tags[names.TAG_CONFIG] = json.dumps(params)
        if asked.origin is not None:
            tags[names.TAG_ORIGIN] = asked.origin
        name = f"{self.space.name}-{asked.number:05d}"
        self.tracker.start_trial(asked.number, name, params, tags, self.dataset)

    def _log_result(self, running: Running, result: Mapping[str, Any]) -> None:
        self.ledger.hold()
        points = []
        for row in result[HISTORY]:
            epoch = int(row[names.EPOCH])
            for name, value in row.items():
                if name in (names.EPOCH, "time"):
                    continue
                points.append((name, value, epoch, int(row["time"])))
                if name in self.better and math.isfinite(value):
                    pick = max if self.better[name] == "higher" else min
                    running.best[name] = pick(value, running.best.get(name, value))
        epoch = int(result[names.EPOCH])
        if running.epoch or running.asked.reported_at is None:  # else it began at a checkpoint
            self.epochs_here += epoch - running.epoch
        running.epoch = epoch
        running.score = result.get(self.objective[0])
        self.saved.note_unsaved(running.asked.number, result.get(UNSAVED))
        self.tracker.log_history(running.asked.number, points)

    def _final_metrics(self, running: Running, result: Mapping[str, Any]) -> dict[str, float]:
        final = {names.best_key(name): value for name, value in running.best.items()}
        for name, values in result[BY_FOLD]:
            for fold, value in enumerate(values):
                final[names.fold_key(fold, name)] = value
        for name in (names.NUM_PARAMS, names.TRAIN_TIME):
            final[name] = float(result[name])
        return final

    def _close(
        self, key: str, state: TrialState, error: str | None = None, failure: str | None = None
    ) -> None:
        running = self.running.pop(key)
        number = running.asked.number
        if state != TrialState.FAIL:
            self._errors.pop(number, None)
        self._refused_in_a_row = self._refused_in_a_row + 1 if failure == names.REFUSED else 0
        self.ended[state] += 1
        self.ended_here += 1
        self.epochs_of_ended += running.epoch
        self._end_run(number, state, error, failure)
        self.saved.delete(number)

    def _end_run(
        self, number: int, state: TrialState, error: str | None, failure: str | None
    ) -> None:
        tags = {names.TAG_STATE: state.name}
        if error is not None:
            tags[names.TAG_ERROR] = error
        if failure is not None:
            tags[names.TAG_FAILURE] = failure
        self.tracker.set_tags(number, tags)
        self.tracker.end_trial(number, RUN_STATUS[state])

    def _end_paused(self, number: int) -> None:
        self.tracker.set_tags(number, {names.TAG_STATE: names.PAUSED})
        self.tracker.end_trial(number, "FINISHED")

    def _close_ended_runs(self) -> None:
        """End the runs of trials that ended in the study, or were paused, just before a kill."""
        open_runs = self.tracker.open_trials()
        for number in sorted(self.paused.keys() & open_runs):
            self._end_paused(number)
        for trial in self.ledger.ended():
            if trial.number in open_runs:
                kind, error = failure_of(self.ledger.frozen(trial.number))
                self._end_run(trial.number, trial.state, error, kind)


def _kept(result: Mapping[str, Any]) -> dict[str, Any]:
    """What the study keeps of a report."""
    whole = {name: result[name] for name in (names.EPOCH, names.NUM_PARAMS, names.TRAIN_TIME)}
    return {BY_FOLD: dict(result[BY_FOLD]), **whole}


def _from_here(path: Path) -> Path:
    """The path as it may be typed in the current folder."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
