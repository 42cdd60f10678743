"""The grids of the reports as search spaces, for `--sampler grid`."""

from collections.abc import Mapping
from typing import Any

from search_spaces.space import SearchSpace
from trainables.presets.preset import Grid
from trainables.presets.registry import PRESETS
from trainables.variants import VARIANTS


def grid_space(grid: Grid, values: Mapping[str, Any] | None = None) -> SearchSpace:
    """Make the space of a report's grid; parameters that are no axis have the report's values.

    Args:
        grid: Axes of the grid, and its base preset.
        values: Values that differ from the base [`grid.values`: the report's best of the grids
            before].
    """
    base = PRESETS[grid.base]
    variant = VARIANTS[base.variant]
    settled = {**base.config, **(grid.values if values is None else values)}
    fixed = variant.config.from_dict(settled).to_dict()
    for giving, given in variant.config.IMPLIED.items():
        if fixed[giving] is not None:
            fixed = {key: value for key, value in fixed.items() if key not in given}
    return SearchSpace(
        name=grid.space,
        variant=variant,
        domains={key: value for key, value in fixed.items() if key not in grid.axes},
        grid=grid.axes,
    )
