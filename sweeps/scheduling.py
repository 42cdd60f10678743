"""Ray Tune components of a sweep: searcher, scheduler, stopper and callbacks over one lifecycle.

Ray decides where trials run. The lifecycle decides on configurations, early stopping and retries,
and keeps the state of the sweep, so Ray's own experiment state is not used.
"""

import re
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import ray
from ray import cloudpickle, tune
from ray.exceptions import ActorUnavailableError, RayActorError, RayError
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from foldsweep.texts import text
from sweeps.lifecycle import Lifecycle
from sweeps.machines import Machines
from trainables.refusals import signature_in, without_signatures
from trainables.trainable import HELD_OUT


class StudySearcher(Searcher):
    """Gets configurations from the study and reports the ends of trials to it.

    `concurrency` returns the most trials that may be in flight; it is called for each suggestion.
    """

    def __init__(self, lifecycle: Lifecycle, *, concurrency: Callable[[], int]):
        super().__init__()
        self.lifecycle = lifecycle
        self.concurrency = concurrency
        self.has_finished = False
        """Whether there are no more configurations to suggest."""

    def suggest(  # type: ignore[override]  # Ray's annotation forgets FINISHED
        self, trial_id: str
    ) -> dict[str, Any] | str | None:
        """Return the next configuration, None to wait, or FINISHED."""
        if len(self.lifecycle.running) >= self.concurrency():
            return None
        if self.lifecycle.hopeless or self.lifecycle.out_of_time:
            return self._finish()
        config = self.lifecycle.start(trial_id) if self.lifecycle.ledger.may_ask else None
        if config is None and self.lifecycle.running and not self.lifecycle.hopeless:
            return None  # a running trial may crash, and be retried or replaced
        return self._finish() if config is None else config

    def _finish(self) -> str:
        self.has_finished = True
        return str(Searcher.FINISHED)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Record the end of a trial; an interrupted trial stays unfinished, to be run again."""
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


class Places(tune.Callback):
    """Records on which node each trial runs, without waiting for answers.

    Each process is asked once, before its first trial; Tune reuses it for later trials.
    """

    def __init__(self, lifecycle: Lifecycle):
        self.lifecycle = lifecycle
        self.of: dict[str, tuple[str, str]] = {}
        """Id and name of the node of each running trial, by trial id."""
        # weak, as a handle keeps its process alive
        self._known: weakref.WeakKeyDictionary[Any, tuple[str, str]] = weakref.WeakKeyDictionary()
        self._asked: dict[ray.ObjectRef, tuple[weakref.ref[Any], str]] = {}

    def on_trial_start(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Ask the process of a trial for its node, unless it is known."""
        actor: Any = trial.temporary_state.ray_actor
        if actor in self._known:
            self._note(trial.trial_id, self._known[actor])
            return
        self.lifecycle.placed(trial.trial_id)
        self._asked[actor.place.remote()] = weakref.ref(actor), trial.trial_id

    def on_trial_result(
        self,
        iteration: int,
        trials: list[Trial],
        trial: Trial,
        result: dict[str, Any],
        **info: Any,
    ) -> None:
        """Record the answers of processes, which come before the first results of their trials."""
        self._take_in()

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Record the answers of processes."""
        self._take_in()

    def left(self, key: str) -> tuple[str, str] | None:
        """Remove a trial that has ended; return id and name of its node, None if it had none."""
        self._take_in()
        return self.of.pop(key, None)

    def _take_in(self) -> None:
        asked = list(self._asked)
        if not asked:
            return
        for answer in ray.wait(asked, num_returns=len(asked), timeout=0)[0]:
            reference, key = self._asked.pop(answer)
            try:
                place = ray.get(answer)
            except RayError:  # the process ended before it could answer
                continue
            actor = reference()
            if actor is not None:
                self._known[actor] = place
            self._note(key, place)

    def _note(self, key: str, place: tuple[str, str]) -> None:
        self.of[key] = place
        self.lifecycle.placed(key, place[1])


class LifecycleScheduler(FIFOScheduler):
    """Stops trials as the lifecycle decides, and reports to it why others failed.

    Args:
        lifecycle: The sweep's trials.
        machines: The nodes that they run on.
        places: The node of each trial.
    """

    def __init__(self, lifecycle: Lifecycle, machines: Machines, places: Places):
        super().__init__()
        self.lifecycle = lifecycle
        self.machines = machines
        self.places = places

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Exclude the nodes that cannot be used from a trial's placement."""
        request = self.machines.request()
        if request is not None:
            trial.update_resources(request)

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """Return None, so that Tune starts waiting trials in their order.

        Ray's FIFO scheduler would choose the first waiting trial even while its process is
        starting. That trial would then get the next idle process, its own process would be killed
        and another one started.
        """
        return None

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Decide whether a trial stops after a report before its last epoch."""
        stop = self.lifecycle.result(trial.trial_id, result)
        return str(TrialScheduler.STOP if stop else TrialScheduler.CONTINUE)

    def on_trial_complete(
        self, tune_controller: Any, trial: Trial, result: dict[str, Any]
    ) -> None:
        """Remove the node of the trial."""
        self.places.of.pop(trial.trial_id, None)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Record why a trial crashed, or that it lost its machine."""
        place = self.places.left(trial.trial_id)
        signed = _error_text(trial)
        traceback = without_signatures(signed)
        if self._lost_its_machine(_error(trial), None if place is None else place[0]):
            what = text("scheduling.not-started", cause=_cause(traceback))
            if place is not None:
                what = text("scheduling.machine-lost", node=place[1])
            self.lifecycle.machine_lost(trial.trial_id, what)
            return
        cause, signature = _cause(traceback), signature_in(signed)
        self.lifecycle.crashed(trial.trial_id, cause, traceback, signature)

    def _lost_its_machine(self, error: Exception | None, node: str | None) -> bool:
        """Whether a trial ended because its machine was lost.

        A process that ends while its node stays alive was ended by what it did, such as using all
        memory. A preempted or unreachable process counts as one of a lost node.
        """
        if not isinstance(error, RayActorError) or not self.machines.change:
            return False
        unsaid = error.preempted or isinstance(error, ActorUnavailableError)
        return unsaid or self.machines.is_lost(node)


class AllEnded(Exception):
    """Ends Tune's loop after its last step, see `End`."""


class End(tune.Callback):
    """Ends Tune's loop when nothing is left to do, or after Ctrl-C; must be the last callback.

    If the loop ended by itself, Tune would write a record of each trial. No code reads it, and it
    takes milliseconds and 80 KB of memory per trial.

    Args:
        lifecycle: The sweep's trials.
        searcher: The searcher of the loop.
        stopper: The stopper of the loop.
        interrupted: Set by Ctrl-C.
    """

    def __init__(
        self,
        lifecycle: Lifecycle,
        searcher: StudySearcher,
        stopper: "LifecycleStopper",
        interrupted: Event,
    ):
        self.lifecycle = lifecycle
        self.searcher = searcher
        self.stopper = stopper
        self.interrupted = interrupted

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Raise AllEnded if that was the last step."""
        if (
            (self.searcher.has_finished and not self.lifecycle.running)
            or self.stopper.has_stopped
            or self.interrupted.is_set()
        ):
            raise AllEnded


class TrialTimeout(tune.Callback):
    """Ends trials that take too long, also those that hang in native code.

    The time of an attempt starts when its process is ready, so it includes building the networks.
    The process is killed, since a process that hangs reacts to nothing else.

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
        """Record the start of an attempt."""
        self.started[trial] = time.monotonic()

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Kill processes whose attempts take too long; Ray then reports their trials as failed."""
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
    """Removes the file of held-out rows from a trial's last result; must be the first callback.

    So neither Ray's loggers nor its record of the trial contain it.
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
        """Pass the file to the lifecycle, before the trial's end is recorded."""
        content = result.pop(HELD_OUT, None)
        if content is not None:
            self.lifecycle.take_held_out(trial.trial_id, content)


class LifecycleStopper(tune.Stopper):
    """Ends the sweep when its time is up or it is given up because trials fail."""

    def __init__(self, lifecycle: Lifecycle):
        self.lifecycle = lifecycle
        self.has_stopped = False
        """Whether Tune has been told to stop all trials."""

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Return False: the scheduler stops single trials."""
        return False

    def __getstate__(self) -> dict[str, Any]:
        """Return an empty state: Ray pickles stoppers into its experiment state."""
        return {}

    def stop_all(self) -> bool:
        """Whether all trials should stop."""
        self.has_stopped = self.lifecycle.out_of_time or self.lifecycle.hopeless
        return self.has_stopped


def _error_text(trial: Trial) -> str:
    """Content of Ray's file of a trial's failures; empty if there is none."""
    try:
        return Path(trial.error_file).read_text("utf-8", errors="replace")
    except (OSError, TypeError):
        return ""


def _error(trial: Trial) -> Exception | None:
    """Exception of a trial's last failure, from Ray's file; None if missing or unreadable."""
    try:
        found = cloudpickle.loads(Path(trial.pickled_error_file).read_bytes())
    except Exception:  # unpickling a user's exception may raise any error
        return None
    return found if isinstance(found, Exception) else None


def _cause(traceback: str) -> str:
    """Error message of a traceback, in one line."""
    lines = [line for line in map(str.rstrip, traceback.splitlines()) if line]
    named = (
        i for i, line in enumerate(lines) if re.match(r"[A-Za-z_][\w.]*(Error|Exception)\b", line)
    )
    first = max(named, default=len(lines) - 1)  # a message may have several lines
    return " ".join(" ".join(lines[first:]).split()) or text("scheduling.process-died")
