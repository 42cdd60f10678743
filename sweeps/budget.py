"""Numbers of trials in the sweep of one space."""

import sys

from search_spaces.space import SearchSpace
from sweeps.settings import SweepSettings

DEFAULT_TRIALS = 30


def num_asked(space: SearchSpace, settings: SweepSettings) -> int:
    """Requested number of trials in the sweep of a space, initial points included."""
    trials = settings.trials
    if settings.sampler == "grid":
        whole = most_asked(space, settings)
        return whole if trials is None else min(trials, whole)
    return DEFAULT_TRIALS if trials is None else trials


def most_asked(space: SearchSpace, settings: SweepSettings) -> int:
    """Largest possible number of trials: grid and initial points; no limit without a grid."""
    if settings.sampler != "grid":
        return sys.maxsize
    return len(space.points) + space.num_combinations


def num_sampled(space: SearchSpace, settings: SweepSettings) -> int:
    """Number of trials that the sampler chooses: all except the initial points."""
    return max(0, num_asked(space, settings) - len(space.points))
