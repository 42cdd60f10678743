"""The grids of the reports as search spaces, for `--sampler grid`."""

from collections.abc import Mapping
from typing import Any

from search_spaces.space import SearchSpace
from trainables.presets.preset import Grid
from trainables.presets.registry import PRESETS
from trainables.trainable import TRAINABLES


def grid_space(grid: Grid, values: Mapping[str, Any] | None = None) -> SearchSpace:
    """The space of a report's grid; all that it does not vary is as in the report.

    Args:
        grid: Its axes and its base.
        values: What differs from the base [the best of the groups before, as the report has it].
    """
    base = PRESETS[grid.base]
    trainable = TRAINABLES[base.variant]
    settled = {**base.config, **(grid.values if values is None else values)}
    fixed = trainable.variant.config.from_dict(settled).to_dict()
    if fixed["aux_alpha"] is not None:  # it means these two
        del fixed["main_weight"], fixed["aux_weight"]
    return SearchSpace(
        name=grid.space,
        trainable=trainable,
        domains={key: value for key, value in fixed.items() if key not in grid.axes},
        grid=grid.axes,
    )
