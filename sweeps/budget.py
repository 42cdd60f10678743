"""Numbers of trials of the sweep of a space."""

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
    """Most trials that are possible: a grid's points and the initial ones; else any number."""
    if settings.sampler != "grid":
        return sys.maxsize
    return len(space.points) + space.num_combinations


def num_sampled(space: SearchSpace, settings: SweepSettings) -> int:
    """Trials that the sampler chooses: all but the initial points."""
    return max(0, num_asked(space, settings) - len(space.points))
