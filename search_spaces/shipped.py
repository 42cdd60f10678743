"""Spaces of the tasks that ship, by name."""

from collections.abc import Callable
from functools import partial

from search_spaces import disc
from search_spaces.larger_digit import PAIR_SPACES
from search_spaces.larger_digit.reports import grid_space
from search_spaces.space import SearchSpace
from trainables.models.disc import NAMES
from trainables.presets.registry import GRIDS

TUNED: dict[str, Callable[[], SearchSpace]] = {
    **PAIR_SPACES,
    **{name: partial(disc.space, name) for name in NAMES},
}
"""One space per variant that ships, so that all variants can be compared at equal budget."""

SPACES: dict[str, Callable[[], SearchSpace]] = {
    **TUNED,
    **{grid.space: partial(grid_space, grid) for grid in GRIDS.values()},
}
"""All spaces of `TUNED`, and the grids of the reports."""
