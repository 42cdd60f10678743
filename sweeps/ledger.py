"""The Optuna study as the ledger of a sweep: what was tried, how it ended, what runs again.

The study holds the whole state: a killed sweep is resumed from it alone. A trial is sampled on a
view in memory, and then created in the study with all its values.
"""

import math
import warnings
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from foldsweep.errors import UserError, first_line
from foldsweep.names import CRASHED, REFUSED, sign
from search_spaces.space import SearchSpace
from sweeps.budget import most_asked, num_asked, num_sampled
from sweeps.distributions import distributions_of
from sweeps.fingerprints import require_same, space_fingerprint
from sweeps.gate import Gate
from sweeps.history import History
from sweeps.jobs import Sample, Train, lags_of, mean_epochs, rungs_of, stops
from sweeps.outcomes import (
    FAILURE_ATTR,
    GRID_POINT,
    POINT_ATTR,
    RESULT_ATTR,
    STOPPED_AT,
    Ended,
    failures,
    stopped_at,
)
from sweeps.payoff import Patience
from sweeps.promotion import Promotion
from sweeps.pruning import in_force, make_rule, rung_epochs
from sweeps.sampling import Chooser
from sweeps.settings import Scheduler, SweepSettings
from sweeps.sources import ORIGIN_ATTR, Origin, sources_of
from sweeps.study import StoredStudy, has_study
from sweeps.turns import Turns
from sweeps.view import numbered
from sweeps.visible import GUIDED, UNGUIDED, Visible
from sweeps.warm_start import Source, record, recorded

optuna.logging.set_verbosity(optuna.logging.WARNING)

DIRECTIONS = {"higher": StudyDirection.MAXIMIZE, "lower": StudyDirection.MINIMIZE}
ERROR_LENGTH = 1000
ENDING: tuple[Scheduler, ...] = ("asha-stop", "hyperband", "median")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Trial to train, with its values.

    `origin` is the name of its initial point or grid point; None if the sampler chose the values.
    """

    number: int
    values: Mapping[str, Any]
    origin: str | None
    reported_at: int | None = field(default=None, compare=False)
    """For a trial that was paused or interrupted: last epoch after which it was decided that the
    trial continues, or 0 if there is none. None for a new trial."""


class Ledger:
    """Asks the study for configurations and records how their trials end.

    Args:
        storage: Storage of the study.
        name: Name of the study, unique to the sweep and its space.
        space: Search space.
        settings: The sweep's settings.
        epochs: Epochs of a trial that is not stopped early.
        identity: Digests of what results depend on besides the settings, such as the data.
        gate: Conditions that configurations must meet to be trained; None for none.

    Raises:
        UserError: If the study of a new sweep exists, or if the study of a resumed sweep is
            damaged or was made with another space or other data.
    """

    def __init__(
        self,
        storage: BaseStorage,
        name: str,
        space: SearchSpace,
        settings: SweepSettings,
        *,
        epochs: int,
        identity: Mapping[str, str],
        gate: Gate | None = None,
    ):
        self.gate = gate
        self.space = space
        self.settings = settings
        self.distributions = distributions_of(space, settings)
        better = space.variant.task.better
        directions = [DIRECTIONS[better[objective]] for objective in settings.objective]
        if not has_study(storage, name):
            _make_study(storage, name, directions, settings)
        elif settings.resume is None:
            raise UserError.of("ledger.study-taken", study=name)
        self.study = StoredStudy(storage, name)
        self.epochs = epochs
        rungs = rung_epochs(epochs, space.most_rungs)
        self.scheduler = in_force(settings, num_sampled(space, settings))
        self.rule = make_rule(self.scheduler, epochs, rungs)
        # a resumed sweep may have more trials, which are stopped by comparison with these reports
        self._later_rule = make_rule(settings.scheduler, epochs, rungs)
        self.prunes = len(settings.objective) == 1
        self.rungs = rungs_of(settings, epochs, space.most_rungs)
        self.lags = lags_of(settings, len(self.rungs))
        whole = {**identity, "space": space_fingerprint(self.distributions, space)}
        require_same(self.study, whole, sweep=settings.resume)
        origin = Origin.of(space, settings, epochs, identity)
        if ORIGIN_ATTR not in self.study.user_attrs():
            self.study.set_user_attr(ORIGIN_ATTR, asdict(origin))
        first = settings.objective[0]
        try:
            self._history = History(self.study, self.distributions, directions, first)
            self.sources = self._warm_start(origin)
        except (AttributeError, LookupError, TypeError, ValueError, zlib.error) as error:
            raise UserError.of("ledger.study-damaged", study=name, why=first_line(error)) from None
        self._view, self._ended = self._history.view, self._history.ended
        self._num_refused = len(failures(list(self._ended.values()), REFUSED))
        visible = Visible(name, directions, self.rungs, sampler=settings.sampler)
        visible.view.attrs = self._view.attrs
        visible.add_sources(self.sources, self.distributions)
        self._chooser = Chooser(visible.view, self.distributions, space, settings, gate)
        guided = settings.sampler in GUIDED
        looks = guided or settings.patience is not None
        plan = Promotion(
            self.rungs,
            num_trials=self.budget,
            num_initial=len(space.points),
            lags=self.lags if settings.by_trial and looks else None,
            unguided=UNGUIDED if guided and not self.sources else 0,
        )
        self._turns = Turns(
            plan,
            visible,
            by_trial=settings.by_trial,
            whole=not settings.by_trial and not self.rungs,
            sign=sign(better[first]),
            patience=Patience(settings.patience, sign(better[first]), len(space.points)),
            ended=self._ended,
            trial_of=self._trial,
            stops_of=self._stops,
        )
        failed = {number: ended.failure for number, ended in self._ended.items()}
        self._turns.restore(self._history.take_read(), failed)

    def _warm_start(self, origin: Origin) -> tuple[Source, ...]:
        """Sources of earlier trials for the sampler; a resumed sweep has the same sources."""
        if not self.settings.warm_start:
            return ()
        sources = recorded(self.study)
        if sources is None:
            found = sources_of(self.settings, self.space, self.distributions, origin)
            sources = tuple(source for source in found if source.trials)
            record(self.study, sources)
        return sources

    @property
    def budget(self) -> int:
        """Largest total number of trials.

        The requested number, and one more for each refused trial; at most twice the request.
        """
        asked = num_asked(self.space, self.settings)
        return min(asked + min(self._num_refused, asked), most_asked(self.space, self.settings))

    @property
    def redraws(self) -> int:
        """Number of draws that may not be trained and were replaced; they are not trials."""
        return self._chooser.redraws

    @property
    def has_stopped_paying(self) -> bool:
        """Whether sampling has ended because `patience` trials in a row did not improve."""
        self._turns.decide()
        return self._turns.has_stopped_paying

    @property
    def may_ask(self) -> bool:
        """Whether `ask` returns a trial."""
        return isinstance(self._turns.decide(), Train | Sample)

    @property
    def trials_left(self) -> int:
        """Number of trials in training or yet to be trained; paused ones may be promoted later."""
        return self._turns.left

    def mean_epochs(self, epochs: int, trained: int = 0) -> float:
        """Expected total epochs of a trial of at most `epochs`, `trained` of which are done."""
        if self.rungs and self.scheduler != "none":
            return mean_epochs(self.rungs, epochs, trained)
        return self.rule.mean_epochs(epochs, trained)

    def paused(self) -> dict[int, int]:
        """Numbers of the trials that are paused at a rung, each with the epochs it has trained."""
        unended = (n for n in range(self._turns.visible.view.length) if n not in self._ended)
        return {n: _passed(self._trial(n)) for n in unended if self.is_paused(n)}

    @property
    def ends_early(self) -> bool:
        """Whether the scheduler ends trials early instead of pausing them."""
        return self.settings.scheduler in ENDING

    def is_paused(self, number: int) -> bool:
        """Whether a trial that has not ended is paused and is not to be continued now."""
        return self._turns.is_paused(number)

    def hold(self) -> None:
        """Wait until it is confirmed that this process is the only driver of the sweep."""
        self.study.hold()

    def ended(self) -> list[Ended]:
        """Trials that have ended, in order of their numbers."""
        return [self._ended[number] for number in sorted(self._ended)]

    def end_of(self, number: int) -> Ended:
        """Summary of a trial that has ended."""
        return self._ended[number]

    def ask(self) -> Asked | None:
        """Return the next trial, or None; trials to continue come before new ones."""
        turn = self._turns.decide()
        match turn:
            case Train(number):
                self.hold()  # for a new trial, writing it to the study does this
                trial = self._whole(self._view.get_trial(number))
                self._turns.plan.take(turn)
            case Sample(number):
                self._turns.show_until(number)
                trial = self._next()
                self._turns.add(trial)
            case _:
                return None
        resumed = isinstance(turn, Train)
        point = trial.user_attrs.get(POINT_ATTR)
        return Asked(
            number=trial.number,
            values=self._chooser.values_of(trial),
            origin=None if point is None else point["name"],
            reported_at=_passed(trial) if resumed else None,
        )

    def report(
        self,
        number: int,
        epoch: int,
        value: float,
        result: Mapping[str, Any] | None = None,
        *,
        ended: bool = False,
    ) -> bool:
        """Record an intermediate value that the scheduler uses; returns whether to stop the trial.

        With `rungs`, a trial that should stop is paused; otherwise the caller ends it by `prune`.

        A decision to stop is recorded before its value and is never made again, so neither a kill
        nor later reports of other trials change it. A value without a decision means that the
        trial continues.

        Initial points are never stopped, so that the baseline is trained to the end; grid points
        may be stopped. With several objectives no trial is stopped, since a trial that is behind
        in one objective may lead in another.

        Args:
            number: Number of the trial.
            epoch: Number of epochs that the trial has trained.
            value: Value of the objective.
            result: Result of the trial so far, recorded with a decision to stop.
            ended: Whether this was the last epoch, after which there is nothing to decide.
        """
        value = float(value)
        known = self._view.get_trial(number)
        if self.rungs:
            return self._at_rung(known, epoch, value)
        if not self.prunes or not self._later_rule.reads(epoch) or not math.isfinite(value):
            return False
        stopped = stopped_at(known)
        if epoch not in known.intermediate_values:
            if stopped is None and not ended and self._is_to_stop(known, epoch, value):
                stopped = epoch
                self._note(number, RESULT_ATTR, {**(result or {}), STOPPED_AT: epoch})
            self.study.report(number, epoch, value)
            self._history.report(number, epoch, value)
            self._turns.report(number, epoch, value)
        return bool(stopped == epoch)

    def _at_rung(self, known: FrozenTrial, epoch: int, value: float) -> bool:
        """Record the objective at a rung; returns whether the trial is paused.

        The decision is not recorded: it follows from the recorded values of all trials.
        """
        number = known.number
        if epoch not in {rung.epochs for rung in self.rungs}:
            return False
        if epoch not in known.intermediate_values:
            self.study.report(number, epoch, value)
            self._history.report(number, epoch, value)
        return not self._turns.report(number, epoch, value)

    def _is_to_stop(self, known: FrozenTrial, epoch: int, value: float) -> bool:
        if known.user_attrs.get(POINT_ATTR, {}).get("name") not in (None, GRID_POINT):
            return False
        curve = {**known.intermediate_values, epoch: value}
        return self.rule.stops(known.number, curve, self._history.reports)

    def give_back(self, number: int) -> None:
        """Let `ask` return a trial again, before all others, because its process died."""
        self._turns.plan.give_back(number)

    def complete(self, number: int, values: Sequence[float], result: Mapping[str, Any]) -> None:
        """Record a trial that trained all epochs; `result` is stored as JSON.

        Raises:
            ValueError: If a value is NaN.
        """
        if any(map(math.isnan, values)):
            raise ValueError(f"the values of trial {number} must be numbers, but are {values}")
        self._note(number, RESULT_ATTR, dict(result))
        self._end(number, TrialState.COMPLETE, [float(value) for value in values])

    def prune(self, number: int, result: Mapping[str, Any]) -> None:
        """Record a trial that was stopped early, with its last reported value.

        A result that was recorded with the decision to stop is kept instead of `result`.
        """
        known = self._view.get_trial(number)
        curve = known.intermediate_values
        if RESULT_ATTR not in known.user_attrs:
            self._note(number, RESULT_ATTR, dict(result))
        self._end(number, TrialState.PRUNED, [curve[max(curve)]] if curve else None)

    def fail(self, number: int, error: str, kind: str = CRASHED) -> None:
        """Record a trial that failed, with reason and kind of failure, see `names.TAG_FAILURE`."""
        self._note(number, FAILURE_ATTR, [kind, error[:ERROR_LENGTH]])
        self._num_refused += kind == REFUSED
        self._turns.set_budget(self.budget)
        self._end(number, TrialState.FAIL, failure=kind)

    def frozen(self, number: int) -> FrozenTrial:
        """A trial as stored in the study."""
        return self.study.trial(number)

    def chosen(self, number: int) -> dict[str, Any]:
        """The values that a trial was trained with."""
        return self._chooser.values_of(self._trial(number))

    def _note(self, number: int, key: str, value: Any) -> None:
        self.study.note(number, key, value)
        self._view.set_trial_user_attr(number, key, value)

    def _end(
        self,
        number: int,
        state: TrialState,
        values: Sequence[float] | None = None,
        *,
        failure: str | None = None,
    ) -> None:
        self.study.end(number, state, values)
        self._history.end(number, state, values)
        self._turns.end(self._trial(number), failure)

    def _trial(self, number: int) -> FrozenTrial:
        return self._view.find(number) or self.frozen(number)

    def _stops(self, trial: FrozenTrial) -> tuple[int, ...]:
        """Rungs at which a trial is compared, and its last epoch; all rungs if it is refused."""
        epochs, pretrain = self.epochs, 0
        if self.rungs:
            with suppress(UserError):
                config = self.space.of_trial(self._chooser.values_of(trial), self.epochs)
                epochs, pretrain = config.epochs, config.pretrain_epochs
        sampled = num_sampled(self.space, self.settings)
        return stops(self.rungs, epochs, pretrain, sampled=sampled)

    def _next(self) -> FrozenTrial:
        """A new trial, or one that an earlier version created in the study beforehand."""
        for number in self._history.waiting:
            self.study.start(number)
            self._turns.visible.add(self._history.waiting[number])
            return self._whole(self._history.waiting.pop(number))
        trial = self._chooser.new()
        self.study.create(trial.number, trial)
        self._view.length += 1
        self._view.add(numbered(trial, trial.number, trial.user_attrs))
        return trial

    def _whole(self, known: FrozenTrial) -> FrozenTrial:
        """A trial of the study with all its values; an earlier version added them one by one."""
        if self._chooser.is_whole(known):
            return known
        trial = self._chooser.whole(known)
        self._view.add(numbered(trial, trial.number, trial.user_attrs))
        for key, value in trial.system_attrs.items():
            if known.system_attrs.get(key) != value:
                self.study.set_trial_system_attr(trial.number, key, value)
        for name, value in trial.params.items():
            if name not in known.params:
                self.study.set_param(trial.number, name, value, self.distributions[name])
        return trial


def _make_study(
    storage: BaseStorage,
    name: str,
    directions: Sequence[StudyDirection],
    settings: SweepSettings,
) -> None:
    study = optuna.create_study(storage=storage, study_name=name, directions=directions)
    with warnings.catch_warnings(action="ignore", category=ExperimentalWarning):
        study.set_metric_names(list(settings.objective))  # axis titles in Optuna's dashboard


def _passed(trial: FrozenTrial) -> int:
    """Last epoch after which it was decided that a trial continues; 0 if there is none."""
    stopped = stopped_at(trial)
    last = math.inf if stopped is None else stopped
    return max((e for e in trial.intermediate_values if e < last), default=0)
