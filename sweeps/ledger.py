"""The Optuna study as the ledger of a sweep: what was tried, how it ended, what runs again.

All that matters is in the study; a killed sweep is continued from it alone. A trial is sampled on
a view in memory and created whole in the study.
"""

import hashlib
import json
import math
import sys
import warnings
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from ray.tune.search.sample import Categorical

from foldsweep.errors import UserError, first_line
from foldsweep.names import CRASHED, REFUSED, sign
from search_spaces.constraints import source_of
from search_spaces.space import SearchSpace
from sweeps.distributions import to_distributions
from sweeps.ended import (
    FAILURE_ATTR,
    GRID_POINT,
    POINT_ATTR,
    RESULT_ATTR,
    STOPPED_AT,
    Ended,
    failures,
    stopped_at,
)
from sweeps.gate import Gate
from sweeps.history import History
from sweeps.payoff import Patience
from sweeps.pruning import in_force, make_rule, rung_epochs
from sweeps.sampling import Chooser
from sweeps.settings import SweepSettings
from sweeps.study import StoredStudy, has_study

IDENTITY_ATTR = "identity"
optuna.logging.set_verbosity(optuna.logging.WARNING)

DIRECTIONS = {"higher": StudyDirection.MAXIMIZE, "lower": StudyDirection.MINIMIZE}
DEFAULT_TRIALS = 30
ERROR_LENGTH = 1000


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Values to try; `origin` names the setting they repeat, None if the sampler chose them."""

    number: int
    values: Mapping[str, Any]
    origin: str | None
    reported_at: int | None = field(default=None, compare=False)
    """Of a trial that was cut off: the last epoch after which it was decided to go on, or 0."""


class Ledger:
    """Asks the study for configurations and records how they end.

    Args:
        storage: Where the study is.
        name: Name of the study, unique to the sweep and its space.
        space: What may vary.
        settings: The sweep's settings.
        epochs: Epochs of a trial that is not stopped early.
        identity: What results depend on besides the settings, such as the data's digest.
        gate: What configurations must meet to be trained.

    Raises:
        UserError: If a new sweep's study exists, or a resumed one's is damaged, or was made with
            another space or other data.
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
            raise UserError(f"study {name!r} exists already; use --resume or another --name")
        self.study = StoredStudy(storage, name)
        rungs = rung_epochs(epochs, space.most_rungs)
        self.scheduler = in_force(settings, num_sampled(space, settings))
        self.rule = make_rule(self.scheduler, epochs, rungs)
        # more trials may be asked for later, and then be stopped by what these report
        self._later_rule = make_rule(settings.scheduler, epochs, rungs)
        self.prunes = len(settings.objective) == 1
        self._check_identity({**identity, "space": _fingerprint(self.distributions, space)})
        first = settings.objective[0]
        try:
            self._history = History(self.study, self.distributions, directions, first)
        except (AttributeError, LookupError, TypeError, ValueError, zlib.error) as error:
            raise UserError(
                f"study {name!r} is damaged ({first_line(error)}): restore it from a copy, or"
                " start a new sweep"
            ) from None
        self._view, self._ended = self._history.view, self._history.ended
        self._cut_off = self._history.cut_off
        self._chooser = Chooser(self._view, self.distributions, space, settings, gate)
        self._num_asked = len(self._cut_off) + len(self._ended)
        self._num_refused = len(failures(list(self._ended.values()), REFUSED))
        self._live: set[int] = set()
        self._patience = Patience(settings.patience, sign(better[first]))

    @property
    def has_stopped_paying(self) -> bool:
        """Whether so many trials in a row have not improved on the best that no more are asked."""
        return self._patience.is_over(self._ended)

    @property
    def budget(self) -> int:
        """Trials that the sweep may have in all.

        Those that are asked for, and one more for each that was refused: as many again at most. No
        more than there are once it has stopped paying.
        """
        if self.has_stopped_paying:
            return self._num_asked
        asked = num_asked(self.space, self.settings)
        return min(asked + min(self._num_refused, asked), most_asked(self.space, self.settings))

    @property
    def redraws(self) -> int:
        """Draws of the sampler that may not be trained and were replaced; they are no trials."""
        return self._chooser.redraws

    @property
    def may_ask(self) -> bool:
        """Whether `ask` has something to give."""
        return bool(self._cut_off) or self._num_asked < self.budget

    @property
    def trials_left(self) -> int:
        """Trials that have not ended yet."""
        return max(len(self._cut_off) + len(self._live), self.budget - len(self._ended))

    def hold(self) -> None:
        """Return once this process is known to be the sweep's one driver."""
        self.study.hold()

    def ended(self) -> list[Ended]:
        """Trials that are over, by number."""
        return [self._ended[number] for number in sorted(self._ended)]

    def end_of(self, number: int) -> Ended:
        """How a trial ended."""
        return self._ended[number]

    def ask(self) -> Asked | None:
        """The next values, those first that a killed sweep was training; None at the end."""
        resumed = bool(self._cut_off)
        if resumed:
            self.hold()  # a new trial is written, which makes sure of that
            trial = self._whole(self._view.get_trial(self._cut_off.popleft()))
        elif self.may_ask:
            self._num_asked += 1
            trial = self._next()
        else:
            return None
        self._live.add(trial.number)
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
        """Record an intermediate value, if the rule may look at it; whether the trial should stop.

        The decision is recorded before the value that it is about, and never made again: a kill
        changes it as little as what other trials report later. A value without a decision means
        that the trial goes on.

        Points to try first are never stopped, so that the baseline is a whole one; those of a
        grid may be. With several objectives nothing is stopped, since a trial behind in one may
        lead in another.

        Args:
            number: Number of the trial.
            epoch: Epochs that it has trained.
            value: Value of the objective.
            result: What the trial has come to, recorded with the decision if it is to stop.
            ended: Whether it was the last epoch, after which there is nothing to decide.
        """
        if not self.prunes or not self._later_rule.reads(epoch) or not math.isfinite(value):
            return False
        value = float(value)
        known = self._view.get_trial(number)
        stopped = stopped_at(known)
        if epoch not in known.intermediate_values:
            if stopped is None and not ended and self._is_to_stop(known, epoch, value):
                stopped = epoch
                self._note(number, RESULT_ATTR, {**(result or {}), STOPPED_AT: epoch})
            self.study.report(number, epoch, value)
            self._history.report(number, epoch, value)
        return bool(stopped == epoch)

    def _is_to_stop(self, known: FrozenTrial, epoch: int, value: float) -> bool:
        if known.user_attrs.get(POINT_ATTR, {}).get("name") not in (None, GRID_POINT):
            return False
        curve = {**known.intermediate_values, epoch: value}
        return self.rule.stops(known.number, curve, self._history.reports)

    def give_back(self, number: int) -> None:
        """Have a trial whose process died asked for again, before all others."""
        self._live.remove(number)
        self._cut_off.appendleft(number)

    def complete(self, number: int, values: Sequence[float], result: Mapping[str, Any]) -> None:
        """Record a trial that trained all epochs; `result` is kept as JSON.

        Raises:
            ValueError: If a value is NaN.
        """
        if any(map(math.isnan, values)):
            raise ValueError(f"the values of trial {number} must be numbers, but are {values}")
        self._note(number, RESULT_ATTR, dict(result))
        self._end(number, TrialState.COMPLETE, [float(value) for value in values])

    def prune(self, number: int, result: Mapping[str, Any]) -> None:
        """Record a trial that was stopped early, with its last reported value.

        Its result is the one that was recorded with the decision, if any was.
        """
        known = self._view.get_trial(number)
        curve = known.intermediate_values
        if RESULT_ATTR not in known.user_attrs:
            self._note(number, RESULT_ATTR, dict(result))
        self._end(number, TrialState.PRUNED, [curve[max(curve)]] if curve else None)

    def fail(self, number: int, error: str, kind: str = CRASHED) -> None:
        """Record a trial that failed, with the reason and its kind, see `names.TAG_FAILURE`."""
        self._note(number, FAILURE_ATTR, [kind, error[:ERROR_LENGTH]])
        self._num_refused += kind == REFUSED
        self._end(number, TrialState.FAIL)

    def frozen(self, number: int) -> FrozenTrial:
        """What the study has of a trial."""
        return self.study.trial(number)

    def chosen(self, number: int) -> dict[str, Any]:
        """The values that a trial was trained with."""
        trial = self._view.find(number) or self.frozen(number)
        return self._chooser.values_of(trial)

    def _note(self, number: int, key: str, value: Any) -> None:
        self.study.note(number, key, value)
        self._view.set_trial_user_attr(number, key, value)

    def _end(self, number: int, state: TrialState, values: Sequence[float] | None = None) -> None:
        self.study.end(number, state, values)
        self._live.remove(number)
        self._history.end(number, state, values)

    def _next(self) -> FrozenTrial:
        """A new trial, or one that an earlier version put into the study beforehand."""
        for number in self._history.waiting:
            self.study.start(number)
            return self._whole(self._history.waiting.pop(number))
        trial = self._chooser.new()
        self.study.create(trial.number, trial)
        return trial

    def _whole(self, known: FrozenTrial) -> FrozenTrial:
        """A trial of the study with all its values, which an earlier version added one by one."""
        trial = self._chooser.whole(known)
        for key, value in trial.system_attrs.items():
            if known.system_attrs.get(key) != value:
                self.study.set_trial_system_attr(trial.number, key, value)
        for name, value in trial.params.items():
            if name not in known.params:
                self.study.set_param(trial.number, name, value, self.distributions[name])
        return trial

    def _check_identity(self, identity: dict[str, str]) -> None:
        stored = self.study.user_attrs().get(IDENTITY_ATTR)
        if stored is None:
            self.study.set_user_attr(IDENTITY_ATTR, identity)
            return
        for key, value in identity.items():
            if stored.get(key) != value:
                raise UserError(
                    f"sweep {self.settings.resume} cannot be resumed: its {key} has changed since;"
                    " start a new sweep"
                )


def _make_study(
    storage: BaseStorage,
    name: str,
    directions: Sequence[StudyDirection],
    settings: SweepSettings,
) -> None:
    study = optuna.create_study(storage=storage, study_name=name, directions=directions)
    with warnings.catch_warnings(action="ignore", category=ExperimentalWarning):
        study.set_metric_names(list(settings.objective))  # axes of Optuna's dashboard


def distributions_of(space: SearchSpace, settings: SweepSettings) -> dict[str, BaseDistribution]:
    """What the study chooses from.

    Raises:
        UserError: If the sampler is `grid` and the space has none, or a part of one.
    """
    if settings.sampler != "grid":
        return to_distributions(space.searched)
    if not space.grid:
        raise UserError(f"space {space.name} defines no grid; use another --sampler")
    free = sorted(set(space.searched) - set(space.grid))
    if free:
        raise UserError(f"the grid of space {space.name} leaves {', '.join(free)} open")
    keys = space.tree.in_order([*space.grid])
    return to_distributions({key: Categorical(space.grid[key]) for key in keys})


def num_asked(space: SearchSpace, settings: SweepSettings) -> int:
    """Trials that the sweep of a space may have in all."""
    trials = settings.trials
    if settings.sampler == "grid":
        whole = most_asked(space, settings)
        return whole if trials is None else min(trials, whole)
    return DEFAULT_TRIALS if trials is None else trials


def most_asked(space: SearchSpace, settings: SweepSettings) -> int:
    """Trials that there can be: those of a grid and the initial points; else any number."""
    if settings.sampler != "grid":
        return sys.maxsize
    return len(space.points) + space.num_combinations


def num_sampled(space: SearchSpace, settings: SweepSettings) -> int:
    """Those of them that are no initial points; on a grid, its own points."""
    return max(0, num_asked(space, settings) - len(space.points))


def _passed(trial: FrozenTrial) -> int:
    """The last epoch after which it was decided that a trial goes on; 0 if there is none."""
    stopped = stopped_at(trial)
    last = math.inf if stopped is None else stopped
    return max((e for e in trial.intermediate_values if e < last), default=0)


def _fingerprint(distributions: Mapping[str, BaseDistribution], space: SearchSpace) -> str:
    """Changes whenever a configuration of the space would be another or mean something else."""
    parts = {
        "distributions": {k: repr(d) for k, d in sorted(distributions.items())},
        "fixed": {k: repr(v) for k, v in sorted(space.fixed.items())},
        "points": [
            (p.name, sorted((k, repr(v)) for k, v in p.config.items())) for p in space.points
        ],
        "variant": space.variant.full_name,
    }
    if space.tree.conditions:
        parts["conditions"] = repr(sorted(space.tree.conditions.items()))
    if space.constraint is not None:
        parts["constraint"] = source_of(space.constraint)
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
