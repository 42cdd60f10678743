"""What the workers of a sweep are given: jobs, which train a trial up to a rung."""

import math
from dataclasses import dataclass

from sweeps.pruning import REDUCTION

DIVERGED = -math.inf
"""Score of a trial whose loss became non-finite: a result, the worst there is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """Epochs after which trials are compared."""

    epochs: int
    reduction: int = REDUCTION
    """Of the scores at the rung, the better floor(n / reduction) are promoted."""


@dataclass(frozen=True, slots=True)
class Train:
    """A trial is trained up to a rung, by its index; the last epoch counts as one rung more."""

    trial: int
    rung: int


@dataclass(frozen=True, slots=True)
class Sample:
    """A new configuration is tried, see `Promotion.add`."""

    trial: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing can be given out before a job has ended."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The sweep is over."""


Decision = Train | Sample | Wait | Finished
