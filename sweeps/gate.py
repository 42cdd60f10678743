"""Conditions that configurations must meet to be trained: the space's constraint and `--limit`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from foldsweep.errors import UserError
from foldsweep.texts import text
from search_spaces.constraints import holds, takes_count
from search_spaces.space import SearchSpace
from search_spaces.trying import DRAWS
from sweeps.limits import Limit
from trainables.config import BaseConfig
from trainables.models.estimators.config import EstimatorConfig
from trainables.stack.memory import parameters_of
from trainables.tasks.samples import Data

LEAST = 3
"""Least number of random configurations, of `DRAWS`, that must be allowed."""


class Gate:
    """Decides which configurations of a space may be trained.

    Args:
        space: The space with its constraint.
        limits: Limits of the sweep.
        data: Data, whose shapes determine the number of parameters.
        epochs: Most epochs of a trial [the space's own].

    Raises:
        UserError: If the number of parameters is needed of an estimator, which has none.
    """

    def __init__(
        self,
        space: SearchSpace,
        limits: Sequence[Limit],
        data: Data,
        *,
        epochs: int | None = None,
    ):
        self._space = space
        self._epochs = space.most_epochs() if epochs is None else epochs
        self._limits = limits
        self._data = data
        constraint = space.constraint
        self._constraint_counts = constraint is not None and takes_count(constraint)
        counts = bool(limits) or self._constraint_counts
        if counts and issubclass(space.variant.config, EstimatorConfig):
            if limits:
                raise UserError.of("gate.limit-on-estimator", space=space.name, limit=limits[0])
            raise UserError.of("gate.estimator-not-counted", space=space.name)
        self._counts = counts

    @property
    def is_open(self) -> bool:
        """Whether there are no conditions, so that every configuration may be trained."""
        return self._space.constraint is None and not self._limits

    def __str__(self) -> str:
        own = [text("gate.its-constraint")] * (self._space.constraint is not None)
        return " and ".join([*own, *(f"--limit {limit}" for limit in self._limits)])

    def passes(self, config: BaseConfig) -> bool:
        """Whether a configuration may be trained.

        True if no network can be built from it: training reports that error.

        Raises:
            UserError: If the constraint itself fails.
        """
        num_params = None
        if self._counts:
            variant = self._space.variant
            shapes = variant.task.shapes(self._data)
            num_params = parameters_of(lambda: variant.model(config, shapes))
            if num_params is None:
                return True
        constraint = self._space.constraint
        if constraint is not None:
            given = num_params if self._constraint_counts else None
            try:
                if not holds(constraint, config, given, searched=self._space.shown(config)):
                    return False
            except UserError as error:
                raise UserError.of(
                    "gate.constraint-fails", space=self._space.name, error=error
                ) from error
        return num_params is None or all(limit.holds(num_params) for limit in self._limits)

    def lets(self, values: Mapping[str, Any]) -> bool:
        """Whether sampled values may become a trial.

        True if the values are no valid configuration or the constraint itself fails: the trial
        then reports the error.
        """
        try:
            return self.passes(self.config_of(values))
        except UserError:
            return True

    def config_of(self, values: Mapping[str, Any]) -> BaseConfig:
        """Configuration of a trial with these values.

        Raises:
            UserError: If the values are no valid configuration.
        """
        return self._space.of_trial(values, self._epochs)

    def require(self, config: BaseConfig) -> None:
        """Refuse a configuration that may not be trained.

        Raises:
            UserError: If so; the message names the conditions.
        """
        if not self.passes(config):
            raise UserError.of("gate.no-configuration", conditions=self)

    def check(self) -> None:
        """Refuse conditions that hardly any random configuration meets.

        Raises:
            UserError: If fewer than `LEAST` configurations meet them, or the constraint fails.
        """
        met = tried = 0
        for seed in range(DRAWS):
            try:
                config = self.config_of(self._space.draw(seed))
            except UserError:
                continue
            tried += 1
            met += self.passes(config)
            if met == LEAST:
                return
        if tried >= LEAST:
            raise UserError.of(
                "gate.too-few-met", space=self._space.name, met=met, tried=tried, conditions=self
            )


def within(
    space: SearchSpace,
    limits: Sequence[Limit],
    data: Data,
    *,
    grid: bool,
    epochs: int | None = None,
) -> tuple[SearchSpace, list[str]]:
    """Restrict a space to the initial points and grid points that may be trained.

    Args:
        space: The space.
        limits: Limits of the sweep.
        data: The data.
        grid: Whether the grid is searched instead of the domains.
        epochs: Most epochs of a trial [the space's own].

    Returns:
        The space, and lines that tell the user about points that are left out.

    Raises:
        UserError: If no or hardly any configuration may be trained, or the constraint fails.
    """
    gate = Gate(space, limits, data, epochs=epochs)
    said: list[str] = []
    if gate.is_open:
        return space, said
    points = [p for p in space.points if gate.passes(gate.config_of(p.config))]
    for point in space.points:
        if point not in points:
            left = text("gate.point-left-out", space=space.name, point=point.name, conditions=gate)
            said.append(left)
    left_out = frozenset[int]()
    if grid and space.grid:
        number = space.num_combinations
        lets = (gate.lets(space.combination(i)) for i in range(number))
        left_out = frozenset(i for i, passes in enumerate(lets) if not passes)
        if len(left_out) == number:
            raise UserError.of("gate.no-grid-point", space=space.name, conditions=gate)
        if left_out:
            met = number - len(left_out)
            name = space.name
            said.append(
                text("gate.grid-points-meet", space=name, met=met, points=number, conditions=gate)
            )
    else:
        gate.check()
    return replace(space, points=points, left_out=left_out), said
