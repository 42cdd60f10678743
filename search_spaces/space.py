"""What a search space is: domains over the fields of a variant's configuration."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from ray.tune.search.sample import Categorical, Domain, Float, Integer

from foldsweep.checks import is_text
from foldsweep.errors import UserError
from search_spaces.trying import draw, try_values
from trainables.config import BaseConfig
from trainables.models.estimators.config import EstimatorConfig
from trainables.presets.registry import PRESETS
from trainables.tasks.task import Variant
from trainables.variants import VARIANTS


@dataclass(frozen=True, kw_only=True)
class Point:
    """A setting to try first, by name.

    `config` may leave the space: keys without a domain and values outside their domain are tried
    as they are, and the sampler is told the nearest point inside.
    """

    name: str
    config: Mapping[str, Any]


def preset_point(name: str) -> Point:
    """A preset's full configuration, but for epochs and precision, which are the sweep's."""
    preset = PRESETS[name]
    config = VARIANTS[preset.variant].config.from_dict(preset.config).to_dict()
    del config["epochs"], config["precision"]
    return Point(name=name, config=config)


@dataclass(frozen=True, kw_only=True)
class SearchSpace:
    """What may vary for one variant.

    Keys are fields of the variant's configuration; values are `ray.tune` domains (searched) or
    plain values (fixed). The first of `points` is the baseline that the end of a sweep compares
    with. `grid` gives the values of a grid search, for `--sampler grid`.

    Raises:
        UserError: If a key is not a field, a name is not usable as a folder, nothing is searched,
            or a point or a value of a domain is not a valid configuration.
    """

    name: str
    variant: Variant
    domains: Mapping[str, Any]
    points: Sequence[Point] = ()
    grid: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    file: str | None = None
    """Path of the user's file it was loaded from; set by the loader."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", self.name):
            raise UserError(
                f"space name {self.name!r} must be letters, numbers, '_', '-', '.', at most 64"
            )
        config = self.variant.config
        known = {f.name for f in fields(config)}
        for keys, what in ((self.domains, "domains"), (self.grid, "grid")):
            unknown = sorted(set(keys) - known)
            if unknown:
                raise UserError(
                    f"space {self.name}: {what} has {', '.join(unknown)}, which {config.__name__}"
                    f" lacks; it has {', '.join(sorted(known))}"
                )
        for where, value in self._values():
            if isinstance(value, str) and not is_text(value):
                raise UserError(
                    f"space {self.name}: {where} may be {value!r}, which is no text in UTF-8"
                )
        if not self.searched and not self.grid:
            raise UserError(f"space {self.name} searches nothing: give a ray.tune domain to a key")
        for point in self.points:
            self.complete(point.config)
        try:
            try_values(self.complete, self.searched, self.grid)
        except UserError as error:
            raise UserError(f"space {self.name}: {error}") from None

    def _values(self) -> Iterator[tuple[str, Any]]:
        """All single values that are named, each with its key."""
        for mapping in (self.fixed, *(point.config for point in self.points)):
            yield from mapping.items()
        chosen = {k: d.categories for k, d in self.searched.items() if isinstance(d, Categorical)}
        for key, values in (*chosen.items(), *self.grid.items()):
            yield from ((key, value) for value in values)

    @property
    def searched(self) -> dict[str, Domain]:
        """The keys that vary, with their domains."""
        return {k: v for k, v in self.domains.items() if isinstance(v, Domain)}

    @property
    def fixed(self) -> dict[str, Any]:
        """The keys that do not vary, with their values."""
        return {k: v for k, v in self.domains.items() if not isinstance(v, Domain)}

    @property
    def resource(self) -> str | None:
        """Field that says how long a trial trains; None for what is fitted at once."""
        config = self.variant.config
        return config.RESOURCE if issubclass(config, EstimatorConfig) else "epochs"

    @property
    def most_rungs(self) -> int | None:
        """Rungs that its trials may have at most; None for as many as epochs allow."""
        return 2 if issubclass(self.variant.config, EstimatorConfig) else None

    def most_epochs(self) -> int:
        """Epochs of its longest trials; a space may search them."""
        if self.resource is None:
            return 1
        epochs = self.domains.get(self.resource, getattr(self.variant.config, self.resource))
        if isinstance(epochs, Categorical):
            return int(max(epochs.categories))
        return int(epochs.upper if isinstance(epochs, Integer | Float) else epochs)

    def draw(self, seed: int) -> dict[str, Any]:
        """Values of what is searched, drawn independently of each other."""
        return draw(self.searched, self.grid, seed)

    def with_fixed(self, **values: Any) -> "SearchSpace":
        """The space with values that neither vary nor differ in any of its points.

        Raises:
            UserError: If a point is not a valid configuration then.
        """
        return replace(
            self,
            domains={**self.domains, **values},
            points=[replace(p, config={**p.config, **values}) for p in self.points],
            grid={key: of for key, of in self.grid.items() if key not in values},
        )

    def complete(self, values: Mapping[str, Any], **overrides: Any) -> BaseConfig:
        """The whole configuration that a choice of values means.

        Raises:
            UserError: If the values are not a valid configuration of the variant.
        """
        merged = {**self.fixed, **values, **overrides}
        return self.variant.config.from_dict(merged)
