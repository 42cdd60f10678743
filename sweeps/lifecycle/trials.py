"""Lifecycle of trials: asked, trained, paused, ended.

The order of writes matters, since a kill may fall between two of them. First, the metrics of a
trial and its predictions for held-out rows are written to the spool. Then the study records the
end of the trial. Last, the end of its run is written to the spool. So a resumed sweep finds either
a trial to run again, whose repeated metrics the spool recognises, or an ended trial whose run must
still be ended.
"""

import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from optuna.trial import TrialState

from foldsweep import names
from foldsweep.errors import UserError
from foldsweep.texts import text
from search_spaces.space import SearchSpace
from sweeps.checkpoints import Saved
from sweeps.ledger import Ledger
from sweeps.lifecycle.attempts import Attempts, Running
from sweeps.lifecycle.runs import Runs
from sweeps.lifecycle.tally import Tally
from sweeps.outages import Outages
from sweeps.summary import Outcome
from sweeps.tracking.tracker import Tracker
from trainables.checkpoints import checkpoint_sizes
from trainables.stores import STORE_ERRORS
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


class Lifecycle:
    """Connects the ledger, the tracker and the scheduler of trials.

    `key` is the scheduler's name of a trial; `start` maps it to the trial's number.

    Args:
        ledger: The sweep's study.
        tracker: The sweep's spool.
        space: Search space.
        objective: Metrics that the study optimises, in its order.
        epochs: Epochs of a trial that is not stopped early.
        report_at: Epochs after which the objective is reported to the study.
        tags: Tags of every run of the sweep.
        dataset: MLflow's dataset record.
        checkpoint_folder: Place of the checkpoints of trials.
        error_folder: Local folder of the tracebacks of trials that crashed.
        held_out_folder: Local folder of the predictions of complete trials for held-out rows.
        time_budget: Seconds until the sweep is `out_of_time`; None for no limit.
        max_failures: Number of times that a crashed trial is retried.
        outages: Tracks which services are unavailable.
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
        self.checkpoint_folder = checkpoint_folder
        self.held_out_folder = held_out_folder
        self.deadline = math.inf if time_budget is None else time.monotonic() + time_budget
        self.running: dict[str, Running] = {}
        self.attempts = Attempts(error_folder, max_failures)
        self.tally = Tally(ledger, objective)
        self.runs = Runs(
            tracker, space, tags=tags, dataset=dataset, held_out_folder=held_out_folder
        )
        self.outages = outages or Outages()
        self.saved = Saved(checkpoint_folder, self.outages)
        self.paused = ledger.paused()
        """Numbers of trials paused at a rung, with the epochs trained; some may be promoted."""
        self._take_stock()
        self.runs.close_ended(ledger, self.paused)

    def start(self, key: str) -> dict[str, Any] | None:
        """Start the next trial; returns its configuration and number, or None if there is none."""
        while not self.hopeless and (asked := self.ledger.ask()) is not None:
            self.running[key] = Running(asked=asked)
            self.paused.pop(asked.number, None)
            self.saved.resume(asked.number)
            try:
                config = self.space.of_trial(asked.values, self.epochs)
                if self.ledger.gate is not None:
                    self.ledger.gate.require(config)
            except UserError as error:
                self.runs.start(asked, asked.values, is_whole=False)
                self.crashed(key, text("trials.not-valid", error=error))
                self.fail(key, names.REFUSED)
                continue
            self.running[key].pretrain_epochs = config.pretrain_epochs
            self.running[key].epochs = config.epochs
            self.runs.start(asked, self.space.active(config.to_dict()))
            more: dict[str, Any] = {TRIAL_NUMBER: asked.number}
            if asked.reported_at is not None:
                more[REPORTED_AT] = asked.reported_at
            if asked.number in self.attempts.signatures:
                more[LAST_ERROR] = self.attempts.signatures[asked.number]
            return {**config.to_dict(), **more}
        return None

    def placed(self, key: str, node: str | None = None) -> None:
        """Record that a trial has a process and, once known, on which node."""
        running = self.running.get(key)
        if running is None:
            return
        if not running.has_process:
            running.has_process, running.since = True, time.monotonic()
        if node is not None:
            running.node = node
            self.tracker.log_node(running.asked.number, node)

    def result(self, key: str, result: Mapping[str, Any]) -> bool:
        """Record a report before the last epoch; returns whether the process should stop."""
        running = self.running[key]
        self._log(running, result)
        if self.ledger.rungs:  # the report itself pauses the trial in the study
            self.runs.log_final(running, result)
            self.tracker.secure()
        running.stopped = self._report(running, result)
        return running.stopped

    def take_held_out(self, key: str, content: bytes) -> None:
        """Receive the file of a trial's held-out rows; `end` keeps it if the trial is complete."""
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
        self._log(running, result)
        if result[DIVERGED]:
            self.crashed(key, text("trials.loss-not-finite", epoch=result[names.EPOCH]))
            self.fail(key, names.DIVERGED)
            return
        self.runs.log_final(running, result)
        if running.stopped:
            self.tracker.secure()
            self.ledger.prune(number, _kept(result))
            self._close(key, TrialState.PRUNED)
        else:
            self.runs.keep_held_out(running)
            if self.ledger.prunes:
                self._report(running, result, ended=True)
            self.tracker.secure()
            values = [float(result[o]) for o in self.objective]
            self.ledger.complete(number, values, _kept(result))
            self.tally.compare(number)
            self._close(key, TrialState.COMPLETE)

    def crashed(
        self, key: str, error: str, traceback: str = "", signature: str | None = None
    ) -> None:
        """Record why a trial failed, see `Attempts.note_crash`; `lost` decides on a retry."""
        self.attempts.note_crash(self.running[key], error, traceback, signature)

    def timed_out(self, key: str, seconds: float) -> None:
        """Record that a trial exceeded its time limit; its process is being ended."""
        self.attempts.note_timeout(self.running[key], seconds)

    def machine_lost(self, key: str, what: str) -> None:
        """Record what happened to the machine of a trial; `lost` decides on a retry."""
        self.attempts.note_loss(self.running[key], what)

    def lost(self, key: str) -> None:
        """Retry a trial that crashed, or record its failure if it crashed too often.

        Ray's own retries do not suffice: they omit a trial whose process dies between two trials.
        """
        if self.attempts.is_tried_again(self.running[key]):
            self.ledger.give_back(self.running.pop(key).asked.number)
        else:
            self.fail(key)

    def give_all_back(self) -> None:
        """Retry all trials in training, since the processes that trained them have ended."""
        for running in self.running.values():
            self.ledger.give_back(running.asked.number)
        self.running.clear()

    def fail(self, key: str, kind: str | None = None) -> None:
        """Record a trial that diverged, was refused, or crashed too often."""
        self.ledger.hold()
        running = self.running[key]
        running.failure = kind or running.failure
        if running.traceback is not None:
            self.tracker.log_artifact(running.asked.number, running.traceback)
        self.tally.failures[running.failure] += 1
        self.tracker.secure()
        self.ledger.fail(running.asked.number, running.error, running.failure)
        self._close(key, TrialState.FAIL, running.error, running.failure)

    @property
    def num_training(self) -> int:
        """Number of started trials that have a process; the others wait for one."""
        return sum(running.has_process for running in self.running.values())

    @property
    def num_paused(self) -> int:
        """Number of trials paused at a rung, except trials that are known to be promoted."""
        return sum(map(self.ledger.is_paused, self.paused))

    @property
    def out_of_time(self) -> bool:
        """Whether the time budget is spent."""
        return time.monotonic() >= self.deadline

    @property
    def hopeless(self) -> bool:
        """Whether most trials fail, see `Tally.hopeless`."""
        return self.tally.hopeless

    @property
    def ended(self) -> Counter[TrialState]:
        """Number of trials that have ended, by state."""
        return self.tally.ended

    @property
    def failures(self) -> Counter[str]:
        """Number of trials that failed, by kind of failure."""
        return self.tally.failures

    @property
    def best(self) -> Outcome | None:
        """The best complete trial."""
        return self.tally.best

    @property
    def remaining_error(self) -> str | None:
        """The last error of a trial that has not ended well or paused since; None if none."""
        return self.attempts.remaining_error

    def _log(self, running: Running, result: Mapping[str, Any]) -> None:
        """Write the epochs of a report to the spool, and count them."""
        self.ledger.hold()
        epoch = int(result[names.EPOCH])
        if running.epoch or running.asked.reported_at is None:  # else it began at a checkpoint
            self.tally.epochs_here += epoch - running.epoch
        running.epoch = epoch
        running.score = result.get(self.objective[0])
        self.saved.note_unsaved(running.asked.number, result.get(UNSAVED))
        self.runs.log_history(running, result)

    def _report(self, running: Running, result: Mapping[str, Any], *, ended: bool = False) -> bool:
        """Report to the study the epochs of a result in `report_at`, and a trial's last epoch.

        Skips pretraining epochs, so that no trial is pruned on an untrained head. Returns whether
        the trial should stop.
        """
        number, name, stop = running.asked.number, self.objective[0], False
        reports = [row for row in result[HISTORY][:-1] if row[names.EPOCH] in self.report_at]
        if ended or result[names.EPOCH] in self.report_at:
            reports.append(result)
        for row in reports:
            if row[names.EPOCH] > running.pretrain_epochs:
                # a metric over all rows is in some epochs only, the number of parameters in none
                value = row[name] if name in row else result[name]
                epoch = int(row[names.EPOCH])
                kept = _kept(result)
                stop = self.ledger.report(number, epoch, value, kept, ended=ended) or stop
                if stop and not ended:
                    break
        return stop

    def _take_stock(self) -> None:
        """Count the checkpoints of trials paused before a resumption, delete those of ended ones.

        A driver that is killed between the end of a trial and the deletion leaves its checkpoint.
        """
        ended, sizes = {trial.number for trial in self.ledger.ended()}, dict[int, int]()
        with suppress(*STORE_ERRORS):  # uncounted checkpoints only take space
            sizes = checkpoint_sizes(self.checkpoint_folder) if self.paused or ended else {}
        for number in sorted(ended & sizes.keys()):
            self.saved.delete(number)
        for number, epoch in self.paused.items():
            value = self.ledger.frozen(number).intermediate_values.get(epoch)
            if number in sizes and value is not None:
                self.saved.pause(number, epoch, self._score(value), sizes[number])

    def _score(self, value: float) -> float:
        """The objective, with its sign such that higher is better."""
        return names.sign(self.space.variant.task.better[self.objective[0]]) * value

    def _pause(self, key: str, result: Mapping[str, Any]) -> None:
        """Keep the checkpoint of a trial that may be promoted later, and end its run."""
        running = self.running.pop(key)
        number, name = running.asked.number, self.objective[0]
        self.paused[number] = running.epoch
        self.tally.paused_here += 1
        score, size = self._score(float(result[name])), int(result.get(SAVED_BYTES, 0))
        self.saved.pause(number, running.epoch, score, size)
        self.attempts.forget_error(number)
        self.runs.pause(number)

    def _close(
        self, key: str, state: TrialState, error: str | None = None, failure: str | None = None
    ) -> None:
        """End the run of a trial that has ended in the study, and delete its checkpoint."""
        running = self.running.pop(key)
        number = running.asked.number
        if state != TrialState.FAIL:
            self.attempts.forget_error(number)
        self.tally.count_end(state, failure, running.epoch)
        self.runs.end(number, state, error, failure)
        self.saved.delete(number)


def _kept(result: Mapping[str, Any]) -> dict[str, Any]:
    """Part of a report that the study stores."""
    whole = {name: result[name] for name in (names.EPOCH, names.NUM_PARAMS, names.TRAIN_TIME)}
    return {BY_FOLD: dict(result[BY_FOLD]), **whole}
