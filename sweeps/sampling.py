"""What a trial tries: an initial point, a point of a grid, or what a sampler chooses."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState

from foldsweep.checks import meant
from search_spaces.space import Point, SearchSpace
from sweeps.distributions import nearest
from sweeps.ended import GRID_POINT, POINT_ATTR
from sweeps.history import SAMPLER_ATTR
from sweeps.samplers import make_sampler
from sweeps.settings import SweepSettings
from sweeps.view import View, numbered
from trainables.seeds import Stream, derive_seed


class Chooser:
    """Chooses the values of trials on a view in memory; the same ones for the same view.

    Args:
        view: The trials that the sampler looks at, to which each new one is added.
        distributions: What may be chosen.
        space: Whose initial points and grid are tried.
        settings: The sweep's sampler and seed.
    """

    def __init__(
        self,
        view: View,
        distributions: Mapping[str, BaseDistribution],
        space: SearchSpace,
        settings: SweepSettings,
    ):
        self._view = view
        self._distributions = distributions
        self._space = space
        self._settings = settings

    def new(self) -> FrozenTrial:
        """The next trial of the view, with its values."""
        study = self._study_at(self._view.length)
        point = self._point(self._view.length)
        if point is not None:
            config = {key: meant(value, Any) for key, value in point.config.items()}
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
        return self._sampled(study)

    def whole(self, known: FrozenTrial) -> FrozenTrial:
        """A trial of the study with all its values, also one that has none yet or only some."""
        number = known.number
        self._view.add(numbered(known, number, known.user_attrs))
        if known.params.keys() == self._distributions.keys():
            self._view.set_trial_state_values(number, TrialState.RUNNING)
            return self._view.get_trial(number)
        self._view.set_trial_state_values(number, TrialState.WAITING)
        return self._sampled(self._study_at(number))

    def _sampled(self, study: optuna.Study) -> FrozenTrial:
        """The trial that waits in the view, or else the next, with its values."""
        trial = study.ask()
        for i, (name, distribution) in enumerate(self._distributions.items()):
            # each from a seed of its own: an earlier version's kill may have come in between
            study.sampler = self._sampler(trial.number, i)
            _suggest(trial, name, distribution)
        changed = self._view.taken_changes()
        if changed:
            self._view.set_trial_system_attr(trial.number, SAMPLER_ATTR, changed)
        return self._view.get_trial(trial.number)

    def _study_at(self, number: int) -> optuna.Study:
        """The study that the sampler of a trial is given."""
        name = self._view.get_study_name_from_id(0)
        sampler = self._sampler(number)
        return optuna.load_study(study_name=name, storage=self._view, sampler=sampler)

    def _sampler(self, *place: int) -> optuna.samplers.BaseSampler:
        seed = self._settings.seed
        trial_seed = derive_seed(seed, Stream.SAMPLER, *place) % 2**32
        return make_sampler(self._settings.sampler, seed=seed, trial_seed=trial_seed)

    def _point(self, number: int) -> Point | None:
        """The initial point, or point of the grid, that a trial repeats."""
        points = self._space.points
        if number < len(points):
            return points[number]
        if self._settings.sampler != "grid":
            return None
        return Point(name=GRID_POINT, config=_combination(self._space.grid, number - len(points)))


def _combination(grid: Mapping[str, Sequence[Any]], place: int) -> dict[str, Any]:
    """A combination of values by its place; the last of the sorted keys varies fastest."""
    values = {}
    for key in sorted(grid, reverse=True):
        place, i = divmod(place, len(grid[key]))
        values[key] = grid[key][i]
    return dict(sorted(values.items()))


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
