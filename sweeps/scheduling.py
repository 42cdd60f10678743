"""What Ray Tune is given: a searcher, a scheduler and a stopper over one lifecycle.

Ray decides where trials run. Which configurations there are, when one stops, which is tried again
and what is remembered is the lifecycle's: Ray's own experiment state is not needed.
"""

import re
import time
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from sweeps.lifecycle import Lifecycle
from trainables.refusals import signature_in, without_signatures
from trainables.trainable import HELD_OUT


class StudySearcher(Searcher):
    """Asks the study for configurations and tells it how they ended.

    Keeps at most `concurrency` trials in flight.
    """

    def __init__(self, lifecycle: Lifecycle, *, concurrency: int):
        super().__init__()
        self.lifecycle = lifecycle
        self.concurrency = concurrency

    def suggest(  # type: ignore[override]  # Ray's annotation forgets FINISHED
        self, trial_id: str
    ) -> dict[str, Any] | str | None:
        """The next configuration, None to wait, or FINISHED."""
        if len(self.lifecycle.running) >= self.concurrency:
            return None
        if self.lifecycle.hopeless or self.lifecycle.out_of_time:
            return str(Searcher.FINISHED)
        config = self.lifecycle.start(trial_id) if self.lifecycle.ledger.may_ask else None
        if config is None and self.lifecycle.running and not self.lifecycle.hopeless:
            return None  # one of these may crash and be tried again, or another in its place
        return str(Searcher.FINISHED) if config is None else config

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Record the end of a trial; one that was cut off stays to be run again."""
        if error:
            self.lifecycle.lost(trial_id)
        elif result is not None:
            self.lifecycle.end(trial_id, result)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the study is the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the study is the state."""

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Nothing: the study is the state."""


class LifecycleScheduler(FIFOScheduler):
    """Stops trials when the lifecycle says so."""

    def __init__(self, lifecycle: Lifecycle):
        super().__init__()
        self.lifecycle = lifecycle

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """None: Tune starts waiting trials in their order by itself.

        Ray's own choice is the first that waits, also if its process is just starting: that one
        then gets the next idle process, its own is killed, and another started in its place.
        """
        return None

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Decide after a report of a trial that has not trained its last epoch."""
        stop = self.lifecycle.result(trial.trial_id, result)
        return str(TrialScheduler.STOP if stop else TrialScheduler.CONTINUE)

    def on_trial_complete(
        self, tune_controller: Any, trial: Trial, result: dict[str, Any]
    ) -> None:
        """Spare Ray its record of the trial, which it would write out when the sweep ends.

        Nobody reads it; it takes milliseconds and 80 KB of memory for each trial.
        """
        tune_controller._trials_to_cache.clear()

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Note why a trial crashed."""
        signed = _error_text(trial)
        text = without_signatures(signed)
        self.lifecycle.crashed(trial.trial_id, _cause(text), text, signature_in(signed))


class TrialTimeout(tune.Callback):
    """Ends trials that take too long, also those that hang in native code.

    An attempt's time runs from when its process is ready for it, so it includes building the
    networks. The process is killed: whatever hangs in it does not hear of anything else.

    Args:
        lifecycle: The sweep's trials.
        seconds: Longest time of an attempt.
    """

    def __init__(self, lifecycle: Lifecycle, seconds: float):
        self.lifecycle = lifecycle
        self.seconds = seconds
        self.started: dict[Trial, float] = {}

    def on_trial_start(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Begin to count for an attempt."""
        self.started[trial] = time.monotonic()

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """End what runs for too long; Ray then finds the process gone, and the trial failed."""
        now = time.monotonic()
        for trial, started in list(self.started.items()):
            actor = trial.temporary_state.ray_actor
            if trial.status != Trial.RUNNING or trial.trial_id not in self.lifecycle.running:
                del self.started[trial]
            elif now - started > self.seconds and actor is not None:
                del self.started[trial]
                self.lifecycle.timed_out(trial.trial_id, self.seconds)
                ray.kill(actor)


class HeldOutTaker(tune.Callback):
    """Takes the file of held-out rows out of a trial's last result; the first of all callbacks.

    Neither Ray's loggers nor its record of the trial then have it.
    """

    def __init__(self, lifecycle: Lifecycle):
        self.lifecycle = lifecycle

    def on_trial_result(
        self,
        iteration: int,
        trials: list[Trial],
        trial: Trial,
        result: dict[str, Any],
        **info: Any,
    ) -> None:
        """Hand the file to the lifecycle, before the trial's end is recorded."""
        content = result.pop(HELD_OUT, None)
        if content is not None:
            self.lifecycle.take_held_out(trial.trial_id, content)


class LifecycleStopper(tune.Stopper):
    """Ends the sweep when time is up or most trials fail."""

    def __init__(self, lifecycle: Lifecycle):
        self.lifecycle = lifecycle

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Whether one trial should stop: the scheduler's business."""
        return False

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Ray pickles stoppers into its own experiment state."""
        return {}

    def stop_all(self) -> bool:
        """Whether everything should stop."""
        return self.lifecycle.out_of_time or self.lifecycle.hopeless


def _error_text(trial: Trial) -> str:
    """The file that Ray keeps of all failures; empty where there is none."""
    try:
        return Path(trial.error_file).read_text("utf-8", errors="replace")
    except (OSError, TypeError):
        return ""


def _cause(text: str) -> str:
    """What went wrong, in one line, out of a traceback."""
    lines = [line for line in map(str.rstrip, text.splitlines()) if line]
    named = (
        i for i, line in enumerate(lines) if re.match(r"[A-Za-z_][\w.]*(Error|Exception)\b", line)
    )
    first = max(named, default=len(lines) - 1)  # a message may have several lines
    return " ".join(" ".join(lines[first:]).split()) or "the trial's process died"
