"""Ray Tune trainables: a `tune.Trainable` class for each variant, created on demand."""

import logging
import socket
import time
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import ray
import torch
from ray import tune

from foldsweep import names
from foldsweep.errors import UserError, shown_error
from foldsweep.retrying import retried
from foldsweep.streams import forgive
from trainables.checkpoints import load_checkpoint, save_checkpoint
from trainables.models.estimators.config import EstimatorConfig
from trainables.refusals import happens_again, signed
from trainables.stores import STORE_ERRORS, store_says
from trainables.tasks.samples import Data
from trainables.tasks.task import DataRequest, Variant
from trainables.trial import Context, CrossValidation, summary

_log = logging.getLogger(__name__)

TRIAL_NUMBER = "trial_number"
"""Key that the searcher adds to a configuration: the trial's number in its study."""
REPORTED_AT = "reported_at"
"""Key that the searcher adds to the configuration of an interrupted trial: the last epoch after
which the scheduler is known to have continued the trial."""
LAST_ERROR = "last_error"
"""Key that the lifecycle adds after a failure: its signature, see `trainables.refusals`."""
FAILED = "failed"
"""Key of the only result of a trial whose failure is deterministic: a list of the kind of failure,
the failure in one line, and its traceback (empty for a `UserError`). The trial is not tried again,
and its process continues."""
LONG_S, SHARE = 1.0, 4.0
"""A failed save that took longer than `LONG_S` seconds is tried again after at least `SHARE` times
its duration, so that a silent store costs a trial only a part of its time."""
HISTORY = "history"
"""Key of a result: the epochs since the last one, see `CrossValidation.history`."""
BY_FOLD = "by_fold"
"""Key of a result: each metric with its values by fold, as a list (Ray would flatten a dict)."""
DIVERGED = "diverged"
"""Key of a result: whether a loss became non-finite."""
SAVED_BYTES = "saved_bytes"
"""Key of a result of a trial that may be paused: size of its last checkpoint in bytes, 0 without
a checkpoint."""
UNSAVED = "unsaved"
"""Key of a result whose trial cannot be checkpointed at present: a list of the seconds since the
first failed save, and the reason; absent if saves succeed."""
HELD_OUT = "held_out"
"""Key of a trial's last result: the file of its held-out rows, see `HeldOut.to_bytes`; absent if
nothing is kept."""


class FoldTrainable(tune.Trainable):
    """Trains all folds of one configuration; subclasses only bind `variant`.

    One `step()` trains up to the next epoch of `context.report_at`, or for
    `context.report_every_s`, and returns the cross-validated mean, standard deviation and per-fold
    values. An actor may be reused for any configuration: all state is built and seeded again.
    """

    variant: ClassVar[Variant]
    trial: CrossValidation | None
    last_error: str | None
    unsaved: tuple[float, str] | None
    saved_bytes: int
    num_reported: int
    reported_at: int

    def setup(self, config: dict[str, Any], context: Context) -> None:  # type: ignore[override]
        """Store the configuration; `step` builds the folds, so that their failure is a result."""
        forgive()
        torch.set_num_threads(context.threads)
        self.begin(context)
        self.reset_config(config)

    def begin(self, context: Context) -> None:
        """Store what all trials share, without changing settings of the process."""
        self.context = context
        self.waiting: dict[str, Any] | None = None

    def step(self) -> dict[str, Any]:
        """Train to the next report and return its result."""
        try:
            if self.waiting is not None:
                self.last_error = self.waiting.get(LAST_ERROR)
                self._start(self.waiting)
                self.waiting = None
            return self._train()
        except Exception as error:
            built = self.waiting is None
            # estimators check their parameters when they are fitted
            building = not built or (self._refits and isinstance(error, ValueError | TypeError))
            if not happens_again(error, building=building, last=self.last_error):
                signed(error)
                raise
            refused = building or isinstance(error, UserError)
            ours = isinstance(error, UserError)
            text = "" if ours else traceback.format_exc()
            line = " ".join(str(error).split()) if ours else shown_error(error)
            kind = names.REFUSED if refused else names.CRASHED
            return {FAILED: [kind, line, text], "done": True}

    def _train(self) -> dict[str, Any]:
        assert self.trial is not None
        report_at = (*self.context.report_at, self.trial.config.epochs)
        epoch = self.trial.stack.epoch
        until = next((e for e in report_at if e > epoch), report_at[-1])
        if self.reported_at < epoch and epoch in report_at:
            until = epoch  # the scheduler has not yet decided about the epoch of the checkpoint
        late = time.monotonic() + self.context.report_every_s
        while self.trial.stack.epoch < until and not self.trial.finished:
            by = until if self._refits else self.trial.stack.epoch + 1
            self.trial.advance(by, after_epoch=self._save_now_and_then)
            if time.monotonic() >= late:
                break
        history = self.trial.history[self.num_reported :]
        self.num_reported, self.reported_at = len(self.trial.history), self.trial.stack.epoch
        result = {
            **summary(self.trial.by_fold),
            BY_FOLD: list(self.trial.by_fold.items()),
            HISTORY: history,
            DIVERGED: self.trial.diverged,
            names.EPOCH: self.trial.stack.epoch,
            names.NUM_PARAMS: self.trial.stack.num_params,
            names.TRAIN_TIME: self.trial.train_time_s,
            "done": self.trial.finished,
        }
        if self.context.save_at:
            result[SAVED_BYTES] = self.saved_bytes
        if self.unsaved is not None:
            since, reason = self.unsaved
            result[UNSAVED] = [time.monotonic() - since, reason]
        if self.trial.finished and not self.trial.diverged:
            kept = self.trial.held_out()
            if kept is not None:
                result[HELD_OUT] = kept.to_bytes()
        return result

    def place(self) -> tuple[str, str]:
        """The node of this process: its Ray id, and its host name and address."""
        node = ray.get_runtime_context().get_node_id()
        return node, f"{socket.gethostname()} ({ray.util.get_node_ip_address()})"

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Switch to another trial in the same process."""
        self.trial = None  # frees its memory for the next trial
        self.waiting = new_config
        return True

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Save where Ray asks, for schedulers that pause trials."""
        assert self.trial is not None
        torch.save(self.trial.state_dict(), Path(checkpoint_dir) / "trial.pt")

    def load_checkpoint(self, checkpoint_dir: str) -> None:  # type: ignore[override]
        """Continue from where Ray saved."""
        if self.waiting is not None:
            self._start(self.waiting)
            self.waiting = None
        assert self.trial is not None
        path = Path(checkpoint_dir) / "trial.pt"
        self.trial.load_state_dict(torch.load(path, weights_only=True, map_location="cpu"))
        self.reported_at = self.trial.stack.epoch

    def _start(self, config: dict[str, Any]) -> None:
        values = dict(config)
        number, reported_at = values.pop(TRIAL_NUMBER), values.pop(REPORTED_AT, None)
        values.pop(LAST_ERROR, None)
        trial_config = self.variant.config.from_dict(values)
        self.trial = CrossValidation(self.variant, trial_config, self.context, number)
        self.num_reported = 0
        self.saved_at = time.monotonic()
        self.unsaved, self.saved_bytes = None, 0
        # a new trial has no checkpoint and need not wait for an unreachable store
        if self.context.checkpoint_folder is not None and reported_at is not None:
            state = self._load(self.context.checkpoint_folder, number)
            if state is not None:
                self.trial.load_state_dict(state)
        self.reported_at = self.trial.stack.epoch if reported_at is None else reported_at

    def _save_now_and_then(self) -> None:
        """Save a checkpoint at rungs, and else at most every `context.checkpoint_every_s`."""
        folder = None if self._refits else self.context.checkpoint_folder
        assert self.trial is not None
        passed = time.monotonic() - self.saved_at
        at_rung = self.trial.stack.epoch in self.context.save_at and passed >= 0
        due = at_rung or passed >= self.context.checkpoint_every_s
        if folder is not None and due and not self.trial.finished:
            began, state = time.monotonic(), self.trial.state_dict()
            try:
                self.saved_bytes = save_checkpoint(folder, self.trial.number, state)
                self.unsaved, rests = None, 0.0
            except STORE_ERRORS as error:  # the trial continues: a crash would lose more
                reason = store_says(error)
                _log.warning("trial %d could not be saved: %s", self.trial.number, reason)
                self.unsaved = began if self.unsaved is None else self.unsaved[0], reason
                took = time.monotonic() - began
                rests = SHARE * took if took > LONG_S else 0.0
            self.saved_at = time.monotonic() + rests

    def _load(self, folder: str, number: int) -> dict[str, Any] | None:
        """The trial's checkpoint; None, so that it starts again, also if the store stays away."""
        try:
            return retried(
                lambda: load_checkpoint(folder, number),
                is_away=lambda error: isinstance(error, STORE_ERRORS),
                patience_s=self.context.patience_s,
            )
        except STORE_ERRORS as error:
            reason = store_says(error)
            _log.warning(
                "checkpoint of trial %d cannot be read, the trial starts again: %s", number, reason
            )
            return None

    @property
    def _refits(self) -> bool:
        """Whether the variant is an estimator, which is fitted again instead of checkpointed."""
        return issubclass(self.variant.config, EstimatorConfig)


def trainable_for(variant: Variant) -> type[FoldTrainable]:
    """The Trainable class of a variant, under its own name in Ray's tables."""
    # the class is sent to every worker and should be small: the data is in the context instead
    task = replace(variant.task, data=_elsewhere)
    variant = replace(variant, task=task)
    name = "".join(part.capitalize() for part in variant.name.split("_")) + "Trainable"
    body = {"variant": variant, "__doc__": f"Trains all folds of {variant.full_name}."}
    return type(name, (FoldTrainable,), body)


def _elsewhere(request: DataRequest) -> Data:
    raise AssertionError("the data of a trial is that of its context")
