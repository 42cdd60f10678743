"""How many trials the sweep of a space may have."""

import sys

from search_spaces.space import SearchSpace
from sweeps.settings import SweepSettings

DEFAULT_TRIALS = 30


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
    return len(space.points) + space.num_combinations


def num_sampled(space: SearchSpace, settings: SweepSettings) -> int:
    """Those of them that are no initial points; on a grid, its own points."""
    return max(0, num_asked(space, settings) - len(space.points))
