"""What a trial tries: an initial point, a point of a grid, or what a sampler chooses."""

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
from sweeps.ended import GRID_POINT, POINT_ATTR
from sweeps.gate import Gate
from sweeps.history import SAMPLER_ATTR
from sweeps.samplers import make_sampler
from sweeps.settings import SweepSettings
from sweeps.view import View, numbered
from trainables.seeds import Stream, derive_seed

MOST_REDRAWS = 100
"""Draws in place of one that may not be trained."""
GUIDED_REDRAWS = 3
"""Those of them that are the sampler's own; the others are random, for it may insist."""
REDRAWS_ATTR = "foldsweep:redraws"
"""Redraws of a sweep up to and with a trial; among what the sampler keeps for later ones."""


class Chooser:
    """Chooses the values of trials on a view in memory; the same ones for the same view.

    Args:
        view: The trials that the sampler looks at, to which each new one is added.
        distributions: What may be chosen.
        space: Whose initial points and grid are tried.
        settings: The sweep's sampler and seed.
        gate: What draws must meet; those that do not are drawn again.
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
        """How often a draw that may not be trained was replaced so far."""
        return int(self._view.attrs.get(REDRAWS_ATTR, 0))

    def values_of(self, trial: FrozenTrial) -> dict[str, Any]:
        """The values that a trial is trained with: lists and dicts for their text."""
        values = self._decoded(trial.params)
        point = trial.user_attrs.get(POINT_ATTR)
        return self._space.active(values if point is None else values | tupled(point["config"]))

    def new(self) -> FrozenTrial:
        """The next trial of the view, with its values.

        What may not be trained is drawn again, by seeds of the trial and the attempt: it leaves no
        trace but a count. After `MOST_REDRAWS` the last draw stands, and is no configuration.
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
            config = json.loads(json.dumps(config))  # as a study gives it back
            study.enqueue_trial(
                {name: value for name, value in params.items() if value is not None},
                user_attrs={POINT_ATTR: {"name": point.name, "config": config}},
            )
        return self._sampled(study, attempt)

    def is_whole(self, known: FrozenTrial) -> bool:
        """Whether a trial that is in training has all its values."""
        return known.state == TrialState.RUNNING and all(
            name in known.params for name in self._active(known.params)
        )

    def whole(self, known: FrozenTrial) -> FrozenTrial:
        """A trial of the study with all its values, also one that has none yet or only some."""
        number = known.number
        self._view.add(numbered(known, number, known.user_attrs))
        self._view.set_trial_state_values(number, TrialState.WAITING)
        return self._kept(self._sampled(self._study_at(number)))

    def _sampled(self, study: optuna.Study, attempt: int = 0) -> FrozenTrial:
        """The trial that waits in the view, or else the next, with its values."""
        trial, values = study.ask(), dict[str, Any]()
        for i, (name, distribution) in enumerate(self._distributions.items()):
            if self._space.tree.is_active(name, values):
                # each from a seed of its own: an earlier version's kill may have come in between
                study.sampler = self._sampler(attempt, trial.number, i)
                values |= self._decoded({name: _suggest(trial, name, distribution)})
        return self._view.get_trial(trial.number)

    def _active(self, params: Mapping[str, Any]) -> list[str]:
        """Of the parameters those that count with these values, as far as they are there."""
        values = self._decoded(params)
        return [name for name in self._distributions if self._space.tree.is_active(name, values)]

    def _decoded(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters as the study has them with lists and dicts for their text."""
        return {
            name: self._containers.get(name, {}).get(params[name], params[name])
            for name in self._distributions
            if name in params
        }

    def _kept(self, trial: FrozenTrial) -> FrozenTrial:
        """The trial with what its sampler keeps for later ones."""
        changed = self._view.taken_changes()
        if changed:
            self._view.set_trial_system_attr(trial.number, SAMPLER_ATTR, changed)
        return self._view.get_trial(trial.number)

    def _study_at(self, number: int, attempt: int = 0) -> optuna.Study:
        """The study that the sampler of a trial is given."""
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
        """The initial point, or point of the grid, that a trial repeats."""
        points = self._space.points
        if number < len(points):
            return points[number]
        if self._settings.sampler != "grid":
            return None
        place = number - len(points)
        return Point(name=GRID_POINT, config=self._space.combination(place))


def categories(space: SearchSpace) -> dict[str, list[Any]]:
    """The choices of a space, by parameter."""
    return {k: d.categories for k, d in space.searched.items() if isinstance(d, Categorical)}


def containers(space: SearchSpace, *, grid: bool = False) -> dict[str, dict[Any, Any]]:
    """By parameter, the choices that are lists or dicts, by the text that a study has for them."""
    return {
        name: {encoded(plain(value)): value for value in values if is_container(plain(value))}
        for name, values in (space.grid if grid else categories(space)).items()
    }


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
