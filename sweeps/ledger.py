"""The Optuna study as the ledger of a sweep: what was tried, how it ended, what runs again.

All that matters is in the study; a killed sweep is continued from it alone.
"""

import hashlib
import json
import math
import sys
import warnings
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.exceptions import ExperimentalWarning
from optuna.storages import BaseStorage, RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from ray.tune.search.sample import Categorical
from sqlalchemy.engine import make_url

from foldsweep.checks import meant
from foldsweep.errors import UserError, first_line
from foldsweep.names import CRASHED, GRID_ORIGIN, REFUSED
from search_spaces.space import Point, SearchSpace
from sweeps.distributions import nearest, to_distributions
from sweeps.journal import journal_storage, together
from sweeps.pruning import in_force, make_pruner, rung_epochs
from sweeps.samplers import make_sampler
from sweeps.settings import SweepSettings, masked_url
from trainables.seeds import Stream, derive_seed
from trainables.tasks.metrics import Better

POINT_ATTR = "point"
GRID_POINT = GRID_ORIGIN
"""Name of the points of a grid, which unlike others may be pruned."""
RESULT_ATTR = "result"
ERROR_ATTR = "error"
FAILURE_ATTR = "failure"
IDENTITY_ATTR = "identity"
ENQUEUED_ATTR = "enqueued"
STOPPED_ATTR = "stopped_at"
"""Epoch after which a trial is to be stopped early, recorded before it is."""
optuna.logging.set_verbosity(optuna.logging.WARNING)

DIRECTIONS = {"higher": StudyDirection.MAXIMIZE, "lower": StudyDirection.MINIMIZE}
DEFAULT_TRIALS = 30
ERROR_LENGTH = 1000
SQLITE_WAIT_S = 60.0
"""How long a SQLite file may be in use by other sweeps."""
ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Values to try; `origin` names the setting they repeat, None if the sampler chose them."""

    number: int
    values: Mapping[str, Any]
    origin: str | None
    reported_at: int | None = field(default=None, compare=False)
    """Of a trial that was cut off: the last epoch after which it was decided to go on, or 0."""


def open_storage(study_url: str | None, journal: Path) -> BaseStorage:
    """The study's storage: a database by URL, or a journal file.

    Raises:
        UserError: If the URL is wrong, the database does not answer or the file cannot be written.
    """
    if study_url is not None:
        try:
            return _open_database(study_url)
        except Exception as error:  # SQLAlchemy and each driver have their own
            reason = first_line(error)
            if isinstance(error, ImportError):
                reason = (
                    "its driver is missing (for PostgreSQL: pip install 'foldsweep[postgres]')"
                )
            shown = masked_url(study_url)
            raise UserError(
                f"--study {shown} cannot be opened: {reason.replace(study_url, shown)};"
                " give a URL such as sqlite:///study.db or postgresql://user@host/database"
            ) from None
    try:
        return journal_storage(journal)
    except OSError as error:
        raise UserError(f"study file {journal} cannot be written: {error.strerror}") from None


def _open_database(url: str) -> RDBStorage:
    options: dict[str, Any] = {"pool_pre_ping": True}
    if make_url(url).get_backend_name() == "sqlite":
        options["connect_args"] = {"timeout": SQLITE_WAIT_S}
    with _alone(url):
        return RDBStorage(url, engine_kwargs=options)


@contextmanager
def _alone(url: str) -> Iterator[None]:
    """Lock a SQLite file while it is opened: two processes cannot create its tables at a time."""
    given = make_url(url)
    path = Path(given.database or "")
    if given.get_backend_name() != "sqlite" or not given.database or not path.parent.is_dir():
        yield
        return
    with FileLock(f"{path}.lock", timeout=SQLITE_WAIT_S):
        yield


class Ledger:
    """Asks the study for configurations and records how they end.

    Args:
        storage: Where the study is.
        name: Name of the study, unique to the sweep and its space.
        space: What may vary.
        settings: The sweep's settings.
        epochs: Epochs of a trial that is not stopped early.
        identity: What results depend on besides the settings, such as the data's digest.

    Raises:
        UserError: If a new sweep's study exists, or a resumed one's was made with another space
            or other data.
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
    ):
        self.space = space
        self.settings = settings
        self.distributions = distributions_of(space, settings)
        better = space.variant.task.better
        self.study = _open_study(storage, name, settings, better)
        rungs = rung_epochs(epochs, space.most_rungs)
        self.scheduler = in_force(settings, num_sampled(space, settings))
        self.study.pruner = make_pruner(self.scheduler, epochs, rungs)
        self.prunes = len(settings.objective) == 1
        self._check_identity({**identity, "space": _fingerprint(self.distributions, space)})
        with together(self.study):
            self._enqueue_points()
        trials = self.study.get_trials(deepcopy=False)
        self._cut_off = deque(t.number for t in trials if t.state == TrialState.RUNNING)
        self._waiting = deque(t.number for t in trials if t.state == TrialState.WAITING)
        # counted on from here: to look through all trials for each would take longer and longer
        self._num_trials = len(trials)
        self._num_ended = len(self.ended())
        self._num_asked = len(self._cut_off) + self._num_ended
        self._num_refused = len(failures(trials, REFUSED))
        self._live: dict[int, optuna.Trial] = {}

    @property
    def budget(self) -> int:
        """Trials that the sweep may have in all.

        Those that are asked for, and one more for each that was refused: as many again at most.
        """
        asked = num_asked(self.space, self.settings)
        return min(asked + min(self._num_refused, asked), most_asked(self.space, self.settings))

    @property
    def may_ask(self) -> bool:
        """Whether `ask` has something to give."""
        return bool(self._cut_off) or self._num_asked < self.budget

    @property
    def trials_left(self) -> int:
        """Trials that have not ended yet."""
        return max(len(self._cut_off) + len(self._live), self.budget - self._num_ended)

    def ended(self) -> list[FrozenTrial]:
        """Trials that are over, by number."""
        return self.study.get_trials(deepcopy=False, states=ENDED)

    def ask(self) -> Asked | None:
        """The next values, those first that a killed sweep was training; None at the end."""
        with together(self.study):
            resumed = bool(self._cut_off)
            trial = self._next()
            if trial is None:
                return None
            self._live[trial.number] = trial
            values = {}
            for i, (name, distribution) in enumerate(self.distributions.items()):
                # each from a seed of its own: a kill may have come when some were drawn
                self._seed_sampler(trial.number, i)
                values[name] = _suggest(trial, name, distribution)
        point = trial.user_attrs.get(POINT_ATTR)
        if point is not None:
            values |= point["config"]
        return Asked(
            number=trial.number,
            values=values,
            origin=None if point is None else point["name"],
            reported_at=self._passed(trial.number) if resumed else None,
        )

    def report(self, number: int, epoch: int, value: float, *, ended: bool = False) -> bool:
        """Record an intermediate value; whether the trial should stop.

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
            ended: Whether it was the last epoch, after which there is nothing to decide.
        """
        trial = self._live[number]
        if not self.prunes or not math.isfinite(value):
            return False
        known = self.frozen(number)
        stopped = known.user_attrs.get(STOPPED_ATTR)
        if epoch not in known.intermediate_values:
            if stopped is None and not ended and self._is_to_stop(known, epoch, value):
                stopped = epoch
                trial.set_user_attr(STOPPED_ATTR, epoch)
            trial.report(value, epoch)
        return bool(stopped == epoch)

    def _is_to_stop(self, known: FrozenTrial, epoch: int, value: float) -> bool:
        if not is_sampled(known):
            return False
        reported = deepcopy(known)
        reported.intermediate_values[epoch] = value
        return self.study.pruner.prune(self.study, reported)

    def _passed(self, number: int) -> int:
        known = self.frozen(number)
        stopped = known.user_attrs.get(STOPPED_ATTR, math.inf)
        return max((e for e in known.intermediate_values if e < stopped), default=0)

    def give_back(self, number: int) -> None:
        """Have a trial whose process died asked for again, before all others."""
        del self._live[number]
        self._cut_off.appendleft(number)

    def complete(self, number: int, values: Sequence[float], result: Mapping[str, Any]) -> None:
        """Record a trial that trained all epochs; `result` is kept as JSON."""
        self._live[number].set_user_attr(RESULT_ATTR, dict(result))
        self._end(number, TrialState.COMPLETE, list(values))

    def prune(self, number: int, result: Mapping[str, Any]) -> None:
        """Record a trial that was stopped early, with its last reported value."""
        self._live[number].set_user_attr(RESULT_ATTR, dict(result))
        self._end(number, TrialState.PRUNED)

    def fail(self, number: int, error: str, kind: str = CRASHED) -> None:
        """Record a trial that failed, with the reason and its kind, see `names.TAG_FAILURE`."""
        self._live[number].set_user_attr(FAILURE_ATTR, kind)
        self._live[number].set_user_attr(ERROR_ATTR, error[:ERROR_LENGTH])
        self._num_refused += kind == REFUSED
        self._end(number, TrialState.FAIL)

    def frozen(self, number: int) -> FrozenTrial:
        """What the study has of a trial."""
        storage = self.study._storage
        trial_id = storage.get_trial_id_from_study_id_trial_number(self.study._study_id, number)
        return storage.get_trial(trial_id)

    def _end(self, number: int, state: TrialState, values: Sequence[float] | None = None) -> None:
        self.study.tell(number, values, state=state)
        del self._live[number]
        self._num_ended += 1

    def _next(self) -> optuna.Trial | None:
        """A trial without parameters yet, or one that was cut off with those it had."""
        if self._cut_off:
            number = self._cut_off.popleft()
            self._seed_sampler(number)
            return optuna.Trial(self.study, self.frozen(number)._trial_id)
        if not self.may_ask:
            return None
        self._num_asked += 1
        self._seed_sampler(self._waiting.popleft() if self._waiting else self._num_trials)
        trial = self.study.ask()
        self._num_trials = max(self._num_trials, trial.number + 1)
        return trial

    def _seed_sampler(self, *place: int) -> None:
        seed = self.settings.seed
        trial_seed = derive_seed(seed, Stream.SAMPLER, *place) % 2**32
        self.study.sampler = make_sampler(self.settings.sampler, seed=seed, trial_seed=trial_seed)

    def _check_identity(self, identity: dict[str, str]) -> None:
        stored = self.study.user_attrs.get(IDENTITY_ATTR)
        if stored is None:
            self.study.set_user_attr(IDENTITY_ATTR, identity)
            return
        for key, value in identity.items():
            if stored.get(key) != value:
                raise UserError(
                    f"sweep {self.settings.resume} cannot be resumed: its {key} has changed since;"
                    " start a new sweep"
                )

    def _enqueue_points(self) -> None:
        """Put the initial points, and a grid, into the study; once, also after a kill."""
        if self.study.user_attrs.get(ENQUEUED_ATTR):
            return
        points = list(self.space.points)
        if self.settings.sampler == "grid":
            for values in _combinations(self.space.grid):
                points.append(Point(name=GRID_POINT, config=values))
        for point in points[len(self.study.get_trials(deepcopy=False)) :]:
            config = {key: meant(value, Any) for key, value in point.config.items()}
            params = {
                name: nearest(distribution, config[name])
                for name, distribution in self.distributions.items()
                if name in config
            }
            self.study.enqueue_trial(
                {name: value for name, value in params.items() if value is not None},
                user_attrs={POINT_ATTR: {"name": point.name, "config": config}},
            )
        self.study.set_user_attr(ENQUEUED_ATTR, True)


def _open_study(
    storage: BaseStorage, name: str, settings: SweepSettings, better: Mapping[str, Better]
) -> optuna.Study:
    """Create the study of a new sweep, or load that of a resumed one."""
    directions = [DIRECTIONS[better[objective]] for objective in settings.objective]
    if name not in optuna.get_all_study_names(storage):
        study = optuna.create_study(storage=storage, study_name=name, directions=directions)
        with warnings.catch_warnings(action="ignore", category=ExperimentalWarning):
            study.set_metric_names(list(settings.objective))  # axes of Optuna's dashboard
        return study
    if settings.resume is None:
        raise UserError(f"study {name!r} exists already; use --resume or another --name")
    return optuna.load_study(storage=storage, study_name=name)


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
    return to_distributions({key: Categorical(values) for key, values in space.grid.items()})


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
    return len(space.points) + math.prod(map(len, space.grid.values()))


def failures(trials: Sequence[FrozenTrial], kind: str) -> list[FrozenTrial]:
    """Trials that failed in one way."""
    return [t for t in trials if t.user_attrs.get(FAILURE_ATTR) == kind]


def num_sampled(space: SearchSpace, settings: SweepSettings) -> int:
    """Those of them that are no initial points; on a grid, its own points."""
    return max(0, num_asked(space, settings) - len(space.points))


def is_sampled(trial: optuna.Trial | FrozenTrial) -> bool:
    """Whether a trial is no point to try first, or one of a grid."""
    point = trial.user_attrs.get(POINT_ATTR)
    return point is None or point["name"] == GRID_POINT


def _combinations(grid: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Every combination of values; the last of the sorted keys varies fastest."""
    keys = sorted(grid)
    return [dict(zip(keys, v, strict=True)) for v in product(*(grid[key] for key in keys))]


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
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _suggest(trial: optuna.Trial, name: str, distribution: BaseDistribution) -> Any:
    """The trial's value of a parameter, chosen now if it has none yet."""
    match distribution:
        case CategoricalDistribution():
            return trial.suggest_categorical(name, distribution.choices)
        case IntDistribution(low=low, high=high, step=step, log=log):
            return trial.suggest_int(name, low, high, step=step, log=log)
        case FloatDistribution(low=low, high=high, step=step, log=log):
            return trial.suggest_float(name, low, high, step=step, log=log)
    raise AssertionError(distribution)
