"""Values of a new trial: an initial point, a point of a grid, or a sampler's choice."""

import json
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState
from ray.tune.search.sample import Categorical

from foldsweep.choices import encoded, is_container, tupled
from search_spaces.space import Point, SearchSpace
from sweeps.distributions import nearest, plain
from sweeps.gate import Gate
from sweeps.history import SAMPLER_ATTR
from sweeps.outcomes import GRID_POINT, POINT_ATTR
from sweeps.samplers import make_sampler
from sweeps.settings import SweepSettings
from sweeps.view import View, numbered
from trainables.seeds import Stream, derive_seed

MOST_REDRAWS = 100
"""Most redraws of a trial whose values do not meet the constraint and limits."""
GUIDED_REDRAWS = 3
"""First redraws, by the sampler itself. The others are random: it may repeat its choice."""
REDRAWS_ATTR = "foldsweep:redraws"
"""Number of redraws of a sweep so far; stored with the sampler's state at a trial."""


class Chooser:
    """Chooses the values of trials, deterministically for the same view.

    Args:
        view: The trials that the sampler looks at, to which each new one is added.
        distributions: Distributions of the parameters.
        space: The search space, with its initial points and grid.
        settings: The sweep's sampler and seed.
        gate: Constraint and limits that draws must meet, else they are redrawn; None for none.
    """

    def __init__(
        self,
        view: View,
        distributions: Mapping[str, BaseDistribution],
        space: SearchSpace,
        settings: SweepSettings,
        gate: Gate | None = None,
    ):
        self._view = view
        self._distributions = distributions
        self._space = space
        self._settings = settings
        self._gate = gate
        conditions = space.tree.conditions
        self._common = (
            {name: of for name, of in distributions.items() if name not in conditions}
            if any(name in conditions for name in distributions)
            else None
        )
        self._containers = containers(space, grid=settings.sampler == "grid")

    @property
    def redraws(self) -> int:
        """Number of redraws so far."""
        return int(self._view.attrs.get(REDRAWS_ATTR, 0))

    def values_of(self, trial: FrozenTrial) -> dict[str, Any]:
        """The values that a trial is trained with, with lists and dicts decoded from text."""
        values = self._decoded(trial.params)
        point = trial.user_attrs.get(POINT_ATTR)
        return self._space.active(values if point is None else values | tupled(point["config"]))

    def new(self) -> FrozenTrial:
        """Add the next trial to the view and return it, with its values.

        Values that do not meet the constraint and limits are redrawn, with seeds derived from the
        number of the trial and of the attempt. Only the number of redraws is recorded. After
        `MOST_REDRAWS` redraws the last draw is kept; its trial then fails as invalid.
        """
        point = self._point(self._view.length)
        trial = self._new(point, 0)
        for attempt in range(1, MOST_REDRAWS + 1):
            if point is not None or self._gate is None or self._gate.lets(self.values_of(trial)):
                break
            self._view.take_back(trial.number)
            self._view.set_study_system_attr(0, REDRAWS_ATTR, self.redraws + 1)
            trial = self._new(None, attempt)
        return self._kept(trial)

    def _new(self, point: Point | None, attempt: int) -> FrozenTrial:
        study = self._study_at(self._view.length, attempt)
        if point is not None:
            config = {key: plain(value) for key, value in point.config.items()}
            params = {
                name: nearest(distribution, config[name])
                for name, distribution in self._distributions.items()
                if name in config
            }
            config = json.loads(json.dumps(config))  # as read from a study
            study.enqueue_trial(
                {name: value for name, value in params.items() if value is not None},
                user_attrs={POINT_ATTR: {"name": point.name, "config": config}},
            )
        return self._sampled(study, attempt)

    def is_whole(self, known: FrozenTrial) -> bool:
        """Whether a trial is in training and has values of all its active parameters."""
        return known.state == TrialState.RUNNING and all(
            name in known.params for name in self._active(known.params)
        )

    def whole(self, known: FrozenTrial) -> FrozenTrial:
        """Complete a trial of the study that lacks values of some parameters, or of all."""
        number = known.number
        self._view.add(numbered(known, number, known.user_attrs))
        self._view.set_trial_state_values(number, TrialState.WAITING)
        return self._kept(self._sampled(self._study_at(number)))

    def _sampled(self, study: optuna.Study, attempt: int = 0) -> FrozenTrial:
        """The waiting trial of the view, or else a new one, with its values."""
        trial, values = study.ask(), dict[str, Any]()
        for i, (name, distribution) in enumerate(self._distributions.items()):
            if self._space.tree.is_active(name, values):
                # a seed for each parameter, as an earlier version may have been killed in between
                study.sampler = self._sampler(attempt, trial.number, i)
                values |= self._decoded({name: _suggest(trial, name, distribution)})
        return self._view.get_trial(trial.number)

    def _active(self, params: Mapping[str, Any]) -> list[str]:
        """Names of the parameters that are active with the given values, possibly incomplete."""
        values = self._decoded(params)
        return [name for name in self._distributions if self._space.tree.is_active(name, values)]

    def _decoded(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters of the study, with lists and dicts decoded from text."""
        return {
            name: self._containers.get(name, {}).get(params[name], params[name])
            for name in self._distributions
            if name in params
        }

    def _kept(self, trial: FrozenTrial) -> FrozenTrial:
        """The trial with the state that its sampler stores for later trials."""
        changed = self._view.taken_changes()
        if changed:
            self._view.set_trial_system_attr(trial.number, SAMPLER_ATTR, changed)
        return self._view.get_trial(trial.number)

    def _study_at(self, number: int, attempt: int = 0) -> optuna.Study:
        """The study of the view, with the sampler of a trial."""
        name = self._view.get_study_name_from_id(0)
        sampler = self._sampler(attempt, number)
        return optuna.load_study(study_name=name, storage=self._view, sampler=sampler)

    def _sampler(self, attempt: int, *place: int) -> optuna.samplers.BaseSampler:
        seed = self._settings.seed
        stream = (Stream.REDRAW, attempt) if attempt else (Stream.SAMPLER,)
        trial_seed = derive_seed(seed, *stream, *place) % 2**32
        name = self._settings.sampler if attempt <= GUIDED_REDRAWS else "random"
        return make_sampler(name, seed=seed, trial_seed=trial_seed, common=self._common)

    def _point(self, number: int) -> Point | None:
        """The initial point, or point of the grid, that a trial uses; None if it is sampled."""
        points = self._space.points
        if number < len(points):
            return points[number]
        if self._settings.sampler != "grid":
            return None
        place = number - len(points)
        return Point(name=GRID_POINT, config=self._space.combination(place))


def categories(space: SearchSpace) -> dict[str, list[Any]]:
    """The choices of a space's categorical parameters, by name."""
    return {k: d.categories for k, d in space.searched.items() if isinstance(d, Categorical)}


def containers(space: SearchSpace, *, grid: bool = False) -> dict[str, dict[Any, Any]]:
    """Choices that are lists or dicts, by parameter and by their text in a study."""
    return {
        name: {encoded(plain(value)): value for value in values if is_container(plain(value))}
        for name, values in (space.grid if grid else categories(space)).items()
    }


def _suggest(trial: optuna.Trial, name: str, distribution: BaseDistribution) -> Any:
    """The trial's value of a parameter, sampled if it has none."""
    match distribution:
        case CategoricalDistribution():
            return trial.suggest_categorical(name, distribution.choices)
        case IntDistribution(low=low, high=high, step=step, log=log):
            return trial.suggest_int(name, low, high, step=step, log=log)
        case FloatDistribution(low=low, high=high, step=step, log=log):
            return trial.suggest_float(name, low, high, step=step, log=log)
    raise AssertionError(distribution)
