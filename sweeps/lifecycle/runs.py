"""Runs of trials, written to the spool."""

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from optuna.trial import TrialState

from foldsweep import names
from foldsweep.files import write_whole
from search_spaces.space import SearchSpace
from sweeps.ledger import Asked, Ledger
from sweeps.lifecycle.attempts import Running
from sweeps.outcomes import failure_of
from sweeps.tracking.tracker import Tracker
from trainables.trainable import BY_FOLD, HISTORY

RUN_STATUS = {
    TrialState.COMPLETE: "FINISHED",
    TrialState.PRUNED: "FINISHED",
    TrialState.FAIL: "FAILED",
}


class Runs:
    """Writes the runs of trials to the spool.

    Args:
        tracker: The sweep's spool.
        space: Search space.
        tags: Tags of every run of the sweep.
        dataset: MLflow's dataset record.
        held_out_folder: Local folder of the predictions of complete trials for held-out rows.
    """

    def __init__(
        self,
        tracker: Tracker,
        space: SearchSpace,
        *,
        tags: Mapping[str, str],
        dataset: Mapping[str, str],
        held_out_folder: Path,
    ):
        self.tracker = tracker
        self._name = space.name
        self._better = space.variant.task.better
        self.tags = dict(tags)
        self._dataset = dict(dataset)
        self._held_out_folder = held_out_folder

    def start(self, asked: Asked, params: Mapping[str, Any], *, is_whole: bool = True) -> None:
        """Start a run, or continue the run of a trial that was paused or interrupted.

        Args:
            asked: The trial.
            params: Its configuration.
            is_whole: Whether `params` are a complete, valid configuration.
        """
        tags = {**self.tags, names.TAG_KIND: "trial", names.TAG_TRIAL: str(asked.number)}
        if asked.reported_at:  # it may have been paused
            tags[names.TAG_STATE] = TrialState.RUNNING.name
        if is_whole:
            tags[names.TAG_CONFIG] = json.dumps(params)
        if asked.origin is not None:
            tags[names.TAG_ORIGIN] = asked.origin
        name = f"{self._name}-{asked.number:05d}"
        self.tracker.start_trial(asked.number, name, params, tags, self._dataset)

    def log_history(self, running: Running, result: Mapping[str, Any]) -> None:
        """Write the metrics of all epochs since the last report, and update their best values."""
        points = []
        for row in result[HISTORY]:
            epoch = int(row[names.EPOCH])
            for name, value in row.items():
                if name in (names.EPOCH, "time"):
                    continue
                points.append((name, value, epoch, int(row["time"])))
                if name in self._better and math.isfinite(value):
                    pick = max if self._better[name] == "higher" else min
                    running.best[name] = pick(value, running.best.get(name, value))
        self.tracker.log_history(running.asked.number, points)

    def log_final(self, running: Running, result: Mapping[str, Any]) -> None:
        """Write the metrics without epochs: best values, values by fold, size and time."""
        final = {names.best_key(name): value for name, value in running.best.items()}
        for name, values in result[BY_FOLD]:
            for fold, value in enumerate(values):
                final[names.fold_key(fold, name)] = value
        for name in (names.NUM_PARAMS, names.TRAIN_TIME):
            final[name] = float(result[name])
        self.tracker.log_metrics(running.asked.number, final, running.epoch)

    def keep_held_out(self, running: Running) -> None:
        """Write the file of a trial's held-out rows, and attach it to the trial's run.

        The file is written before the study records the end of the trial, so every complete trial
        has its file. A trial that is killed in between runs again, and writes the same file.
        """
        if running.held_out is None:
            return
        number = running.asked.number
        self._held_out_folder.mkdir(parents=True, exist_ok=True)
        path = self._held_out_folder / names.held_out_file(number)
        write_whole(path, running.held_out)
        self.tracker.log_artifact(number, path, names.HELD_OUT)

    def end(
        self, number: int, state: TrialState, error: str | None = None, failure: str | None = None
    ) -> None:
        """End a run, with the state of the trial and the reason and kind of its failure."""
        tags = {names.TAG_STATE: state.name}
        if error is not None:
            tags[names.TAG_ERROR] = error
        if failure is not None:
            tags[names.TAG_FAILURE] = failure
        self.tracker.set_tags(number, tags)
        self.tracker.end_trial(number, RUN_STATUS[state])

    def pause(self, number: int) -> None:
        """End the run of a trial that is paused; `start` continues it."""
        self.tracker.set_tags(number, {names.TAG_STATE: names.PAUSED})
        self.tracker.end_trial(number, "FINISHED")

    def close_ended(self, ledger: Ledger, paused: Iterable[int]) -> None:
        """End the runs of trials that ended in the study, or were paused, just before a kill."""
        open_runs = self.tracker.open_trials()
        for number in sorted(open_runs.intersection(paused)):
            self.pause(number)
        for trial in ledger.ended():
            if trial.number in open_runs:
                kind, error = failure_of(ledger.frozen(trial.number))
                self.end(trial.number, trial.state, error, kind)
