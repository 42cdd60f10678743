"""Search spaces: domains over the fields of a variant's configuration."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from functools import cached_property
from typing import Any

from ray.tune.search.sample import Categorical, Domain

from foldsweep.checks import brief, is_text
from foldsweep.errors import UserError
from search_spaces.conditions import Part, Tree, When, flattened
from search_spaces.constraints import Constraint, holds, takes_count
from search_spaces.domains import largest, shown_domain
from search_spaces.trying import DRAWS, draw, try_values
from trainables.config import BaseConfig
from trainables.models.estimators.config import EstimatorConfig
from trainables.presets.registry import PRESETS
from trainables.tasks.task import Variant
from trainables.variants import VARIANTS

MOST_COMBINATIONS = 1_000_000
"""Most points of a grid with conditions or left-out points, which must be listed in memory."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """An initial point: a named configuration that is tried first.

    `config` may be outside the space. Keys without a domain and values outside their domain are
    used as they are, and the sampler is told the nearest point of the space.
    """

    name: str
    config: Mapping[str, Any]


def preset_point(name: str) -> Point:
    """Return a preset as an initial point, without epochs and precision, which the sweep sets."""
    preset = PRESETS[name]
    config = VARIANTS[preset.variant].config.from_dict(preset.config).to_dict()
    del config["epochs"], config["precision"]
    return Point(name=name, config=config)


@dataclass(frozen=True, kw_only=True)
class SearchSpace:
    """The search space of one variant.

    The keys of `domains` are fields of the variant's configuration. The values are `ray.tune`
    domains (searched) or plain values (fixed); `when` and `groups` make them conditional. `points`
    are initial points; the first one is the baseline to which the end of a sweep compares the best
    trial. `grid` has the values of a grid search, for `--sampler grid`. `constraint` returns
    whether a configuration may be trained; it is called with the configuration, and with its
    number of trainable parameters if it takes `num_params`.

    Raises:
        UserError: If a key is not a field, a name is not usable as a folder, nothing is searched,
            a condition can never hold, a constraint fails, or a point or a value of a domain is
            not a valid configuration.
    """

    name: str
    variant: Variant
    domains: Mapping[str, Any]
    points: Sequence[Point] = ()
    grid: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    constraint: Constraint | None = None
    left_out: frozenset[int] = frozenset()
    """Indices of the grid points that may not be trained; set when a sweep begins."""
    file: str | None = None
    """Path of the user's file that defines the space; set by the loader."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", self.name):
            raise UserError.of("space.name-invalid", name=self.name)
        try:
            self._check()
        except UserError as error:
            reason = str(error).removeprefix(f"space {self.name}: ")
            raise UserError.of("space.cannot-be-used", space=self.name, reason=reason) from error

    def _check(self) -> None:
        config = self.variant.config
        known = {f.name for f in fields(config)}
        for keys, what in ((self.parts, "domains"), (self.grid, "grid")):
            unknown = sorted(set(keys) - known)
            if unknown:
                raise UserError.of(
                    "space.key-unknown",
                    where=what,
                    unknown=", ".join(unknown),
                    config=config.__name__,
                    known=", ".join(sorted(known)),
                )
        if self.resource in self.tree.conditions:
            raise UserError.of("space.length-conditional", field=self.resource)
        for key, values in self.grid.items():
            if isinstance(values, str | Mapping) or not hasattr(values, "__getitem__"):
                raise UserError.of("space.grid-not-a-list", key=key, values=brief(values))
        for where, value in self._values():
            if isinstance(value, str) and not is_text(value):
                raise UserError.of("space.value-not-text", key=where, value=value)
        if not self.searched and not self.grid:
            raise UserError.of("space.nothing-searched")
        for point in self.points:
            self.complete(point.config)
        try_values(self.complete, self.searched, self.grid, self.tree.ways)
        if self.constraint is not None and not takes_count(self.constraint):
            self._try(self.constraint)

    def _try(self, constraint: Constraint) -> None:
        """Reject a constraint that raises; whether configurations meet it is not checked here."""
        for seed in range(DRAWS):
            try:
                config = self.complete(self.draw(seed))
            except UserError:
                continue
            holds(constraint, config, searched=self.shown(config))

    def shown(self, config: BaseConfig) -> list[str]:
        """Return the searched and active fields of a configuration, to show in messages."""
        varied = {**self.searched, **self.grid}
        return [key for key in self.active(config.to_dict()) if key in varied]

    def _values(self) -> Iterator[tuple[str, Any]]:
        """Yield all single values in fixed values, points, choices and grid, each with its key."""
        for mapping in (self.fixed, *(point.config for point in self.points)):
            for key, value in mapping.items():
                yield from ((key, single) for single in _singles(value))
        chosen = {k: d.categories for k, d in self.searched.items() if isinstance(d, Categorical)}
        for key, values in (*chosen.items(), *self.grid.items()):
            yield from ((key, single) for value in values for single in _singles(value))

    @cached_property
    def parts(self) -> dict[str, Part]:
        """Domains and fixed values by key, with their conditions."""
        return flattened(self.domains)

    @cached_property
    def tree(self) -> Tree:
        """Dependencies between the parameters."""
        defaults = {}
        for known in fields(self.variant.config):
            if known.default is not MISSING:
                defaults[known.name] = known.default
            elif known.default_factory is not MISSING:
                defaults[known.name] = known.default_factory()
        return Tree(self.parts, self.grid, defaults)

    @cached_property
    def searched(self) -> dict[str, Domain]:
        """Searched keys with their domains; parents come before the keys that depend on them."""
        varied = {k: p.domain for k, p in self.parts.items() if isinstance(p.domain, Domain)}
        return {key: varied[key] for key in self.tree.in_order([*varied])}

    @property
    def fixed(self) -> dict[str, Any]:
        """Fixed keys with their values."""
        return {k: p.domain for k, p in self.parts.items() if not isinstance(p.domain, Domain)}

    @property
    def resource(self) -> str | None:
        """Field with the length of training; None for estimators that are fitted in one step."""
        config = self.variant.config
        return config.RESOURCE if issubclass(config, EstimatorConfig) else "epochs"

    @property
    def most_rungs(self) -> int | None:
        """Maximum number of rungs of a trial; None for no limit besides the epochs."""
        return 2 if issubclass(self.variant.config, EstimatorConfig) else None

    def most_epochs(self) -> int:
        """Return the epochs or units of the resource of the longest trials; 1 without a resource.

        If the space searches them, this is their upper bound.
        """
        if self.resource is None:
            return 1
        part = self.parts.get(self.resource)
        default = getattr(self.variant.config, self.resource)
        return int(default if part is None else largest(part.domain))

    @property
    def num_combinations(self) -> int:
        """Number of points of the grid."""
        if self.tree.conditions or self.left_out:
            return len(self._combinations)
        return math.prod(map(len, self.grid.values()))

    def combination(self, place: int) -> dict[str, Any]:
        """Return a point of the grid by its index; the last of the sorted keys varies fastest."""
        if self.tree.conditions or self.left_out:
            return self._combinations[place]
        values = {}
        for key in sorted(self.grid, reverse=True):
            place, i = divmod(place, len(self.grid[key]))
            values[key] = self.grid[key][i]
        return dict(sorted(values.items()))

    @cached_property
    def _combinations(self) -> list[dict[str, Any]]:
        """All points of a grid that has conditions or left-out points.

        Raises:
            UserError: If there are more than `MOST_COMBINATIONS`.
        """
        found: list[dict[str, Any]] = [{}]
        for key in self.tree.in_order(sorted(self.grid)):
            found = [
                more
                for values in found
                for more in (
                    [{**values, key: value} for value in self.grid[key]]
                    if self.tree.is_active(key, values)
                    else [values]
                )
            ]
            if len(found) > MOST_COMBINATIONS:
                raise UserError.of("space.grid-too-large", space=self.name, most=MOST_COMBINATIONS)
        return [values for i, values in enumerate(found) if i not in self.left_out]

    def ranges(self) -> dict[str, str]:
        """Describe the values of each key in words, with inclusive bounds and its conditions."""
        said = {}
        for key in self.tree.in_order([*self.parts]):
            part = self.parts[key]
            known = shown_domain(part.domain) if key in self.searched else str(part.domain)
            conditions = " and ".join(map(str, part.conditions))
            said[key] = f"{known}, if {conditions}" if conditions else known
        return said

    def draw(self, seed: int) -> dict[str, Any]:
        """Draw the searched parameters independently at random; returns the active ones."""
        return self.tree.active(draw(self.searched, self.grid, seed))

    def with_fixed(self, **values: Any) -> "SearchSpace":
        """Return a copy of the space in which some keys are fixed, also in its points and grid.

        Raises:
            UserError: If a point is not a valid configuration with these values.
        """
        return replace(
            self,
            domains={**self._without(values), **values},
            points=[replace(p, config={**p.config, **values}) for p in self.points],
            grid={key: of for key, of in self.grid.items() if key not in values},
        )

    def complete(self, values: Mapping[str, Any], **overrides: Any) -> BaseConfig:
        """Return the whole configuration for some values; fixed values are added.

        Inactive conditional parameters have their defaults.

        Raises:
            UserError: If the values are not a valid configuration of the variant.
        """
        merged = {**self.fixed, **values, **overrides}
        return self.variant.config.from_dict(self.tree.active(merged))

    def of_trial(self, values: Mapping[str, Any], epochs: int) -> BaseConfig:
        """Return the configuration of a trial, limited to some epochs or units of its resource.

        Raises:
            UserError: If the values are not a valid configuration of the variant.
        """
        resource = self.resource
        if resource is None:
            return self.complete(values)
        return self.complete(values, **{resource: min(values.get(resource, epochs), epochs)})

    def active(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the active values of a configuration, which are recorded and shown."""
        return self.tree.active(values)

    def _without(self, keys: Mapping[str, Any]) -> dict[str, Any]:
        """Return the domains without some keys, also without those in groups."""
        if not self.tree.conditions:
            return dict(self.domains)
        domains = {}
        for key, part in self.parts.items():
            if key not in keys:
                domains[key] = part.domain
                for condition in reversed(part.conditions):
                    domains[key] = When(condition, domains[key])
        return domains


def _singles(value: Any) -> Iterator[Any]:
    """Yield a value itself, or all single values in a nested list or dict."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _singles(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _singles(inner)
    else:
        yield value
