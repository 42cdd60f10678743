"""The life of each trial as the driver sees it: asked, trained, ended; in study and spool alike.

Order matters where a kill may fall between two writes. What was measured goes to the spool before
the study says that a trial is over, and the run's end to the spool after it: a resumed sweep finds
either a trial to run again, whose repeated metrics the spool recognises, or an ended trial whose
run it closes.
"""

import json
import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from optuna.trial import TrialState

from foldsweep import names as metrics
from foldsweep.errors import UserError
from search_spaces.space import SearchSpace
from sweeps.ledger import ERROR_ATTR, RESULT_ATTR, Asked, Ledger
from sweeps.summary import Outcome, outcome, ranking
from sweeps.tracking.tracker import Tracker
from trainables.checkpoints import delete_checkpoint
from trainables.config import TrialConfig
from trainables.trainable import BY_FOLD, DIVERGED, HISTORY, TRIAL_NUMBER

RUN_STATUS = {
    TrialState.COMPLETE: "FINISHED",
    TrialState.PRUNED: "KILLED",
    TrialState.FAIL: "FAILED",
}
LEAST_ENDED_TO_GIVE_UP = 5
"""Trials that must have ended before a majority of failures stops the sweep."""


@dataclass(kw_only=True)
class Running:
    """A trial in training."""

    asked: Asked
    epoch: int = 0
    pretrain_epochs: int = 0
    best: dict[str, float] = field(default_factory=dict)
    pruned: bool = False
    error: str = "unknown error"


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
        time_budget: Seconds until the sweep is `out_of_time`.
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
        time_budget: float | None,
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
        self.deadline = math.inf if time_budget is None else time.monotonic() + time_budget
        self.running: dict[str, Running] = {}
        self.ended: Counter[TrialState] = Counter(t.state for t in ledger.ended())
        self._ended_before = self.ended.copy()
        self.ended_here = 0
        self.last_error: str | None = None
        self.best: Outcome | None = next(iter(ranking(ledger, objective)), None)
        self._close_ended_runs()

    def start(self, key: str) -> dict[str, Any] | None:
        """The configuration of the next trial, with its number; None if there is none."""
        while (asked := self.ledger.ask()) is not None:
            self.running[key] = Running(asked=asked)
            try:
                epochs = min(asked.values.get("epochs", self.epochs), self.epochs)
                config = self.space.complete(asked.values, epochs=epochs)
            except UserError as error:
                self._log_start(asked, dict(asked.values))
                self.crashed(key, f"not a valid configuration: {error}")
                self.fail(key)
                continue
            self.running[key].pretrain_epochs = config.pretrain_epochs
            self._log_start(asked, config.to_dict(), config)
            return {**config.to_dict(), TRIAL_NUMBER: asked.number}
        return None

    def result(self, key: str, result: Mapping[str, Any]) -> bool:
        """Take in a report of a trial that could go on; whether it should stop."""
        running = self.running[key]
        self._log_result(running, result)
        running.pruned = self._report(running, result)
        return running.pruned

    def end(self, key: str, result: Mapping[str, Any]) -> None:
        """Record a trial that has trained its last epoch, with its last report."""
        running = self.running[key]
        number = running.asked.number
        self._log_result(running, result)
        if result[DIVERGED]:
            self.crashed(key, f"a loss became infinite or NaN in epoch {result[metrics.EPOCH]}")
            self.fail(key)
            return
        kept = {
            BY_FOLD: dict(result[BY_FOLD]),
            **{
                name: result[name]
                for name in (metrics.EPOCH, metrics.NUM_PARAMS, metrics.TRAIN_TIME)
            },
        }
        self.tracker.log_metrics(number, self._final_metrics(running, result), running.epoch)
        if running.pruned:
            self.ledger.prune(number, kept)
            self._close(key, TrialState.PRUNED)
        else:
            if self.ledger.prunes:
                self._report(running, result, ended=True)
            self.ledger.complete(number, [float(result[o]) for o in self.objective], kept)
            self._update_best(number)
            self._close(key, TrialState.COMPLETE)

    def crashed(self, key: str, error: str) -> None:
        """Note why a trial failed; it may be tried again."""
        self.running[key].error = error
        self.last_error = f"trial {self.running[key].asked.number}: {error}"

    def fail(self, key: str) -> None:
        """Record a trial that diverged, or crashed more often than it may."""
        self.ledger.fail(self.running[key].asked.number, self.running[key].error)
        self._close(key, TrialState.FAIL, self.running[key].error)

    @property
    def out_of_time(self) -> bool:
        """Whether the time budget is spent."""
        return time.monotonic() >= self.deadline

    @property
    def hopeless(self) -> bool:
        """Whether most trials fail; a resumed sweep, whose cause may be mended, counts anew."""
        here = self.ended - self._ended_before
        ended = here.total()
        return ended >= LEAST_ENDED_TO_GIVE_UP and 2 * here[TrialState.FAIL] > ended

    def _report(self, running: Running, result: Mapping[str, Any], *, ended: bool = False) -> bool:
        """Tell the study of a report, and of epochs in `report_at` that came before it.

        Not of those in which the comparison was not trained yet: nobody is pruned by chance.
        """
        number, name, stop = running.asked.number, self.objective[0], False
        reports = [row for row in result[HISTORY][:-1] if row[metrics.EPOCH] in self.report_at]
        if ended or result[metrics.EPOCH] in self.report_at:
            reports.append(result)
        for row in reports:
            if row[metrics.EPOCH] > running.pretrain_epochs:
                value = row.get(name, result[name])
                stop |= self.ledger.report(number, int(row[metrics.EPOCH]), value)
        return stop

    def _update_best(self, number: int) -> None:
        """Equals go by number, not by who ended first, so that a resumed sweep names the same."""
        new = outcome(self.ledger.frozen(number), self.space, self.objective[0])
        sign = -1 if metrics.DIRECTIONS[self.objective[0]] == "maximize" else 1
        candidates = [new] if self.best is None else [self.best, new]
        self.best = min(candidates, key=lambda o: (sign * o.score, o.number))

    def _log_start(
        self, asked: Asked, params: dict[str, Any], config: TrialConfig | None = None
    ) -> None:
        tags = {**self.tags, metrics.TAG_KIND: "trial", metrics.TAG_TRIAL: str(asked.number)}
        if config is not None:
            tags[metrics.TAG_CONFIG] = json.dumps(config.to_dict())
        if asked.origin is not None:
            tags[metrics.TAG_ORIGIN] = asked.origin
        name = f"{self.space.name}-{asked.number:05d}"
        self.tracker.start_trial(asked.number, name, params, tags, self.dataset)

    def _log_result(self, running: Running, result: Mapping[str, Any]) -> None:
        points = []
        for row in result[HISTORY]:
            epoch = int(row[metrics.EPOCH])
            for name, value in row.items():
                if name in (metrics.EPOCH, "time"):
                    continue
                points.append((name, value, epoch, int(row["time"])))
                if name in metrics.DIRECTIONS and math.isfinite(value):
                    pick = max if metrics.DIRECTIONS[name] == "maximize" else min
                    running.best[name] = pick(value, running.best.get(name, value))
        running.epoch = int(result[metrics.EPOCH])
        self.tracker.log_history(running.asked.number, points)

    def _final_metrics(self, running: Running, result: Mapping[str, Any]) -> dict[str, float]:
        final = {metrics.best_key(name): value for name, value in running.best.items()}
        for name, values in result[BY_FOLD]:
            for fold, value in enumerate(values):
                final[metrics.fold_key(fold, name)] = value
        for name in (metrics.NUM_PARAMS, metrics.TRAIN_TIME):
            final[name] = float(result[name])
        return final

    def _close(self, key: str, state: TrialState, error: str | None = None) -> None:
        number = self.running.pop(key).asked.number
        self.ended[state] += 1
        self.ended_here += 1
        self._end_run(number, state, error)
        delete_checkpoint(self.checkpoint_folder, number)

    def _end_run(self, number: int, state: TrialState, error: str | None) -> None:
        tags = {metrics.TAG_STATE: state.name}
        if error is not None:
            tags[metrics.TAG_ERROR] = error
        self.tracker.set_tags(number, tags)
        self.tracker.end_trial(number, RUN_STATUS[state])

    def _close_ended_runs(self) -> None:
        """End the runs of trials that ended in the study just before a kill."""
        open_runs = self.tracker.open_trials()
        for trial in self.ledger.ended():
            if trial.number in open_runs:
                assert RESULT_ATTR in trial.user_attrs or ERROR_ATTR in trial.user_attrs
                self._end_run(trial.number, trial.state, trial.user_attrs.get(ERROR_ATTR))
