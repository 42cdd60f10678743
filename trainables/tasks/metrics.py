"""Metrics: what is measured, which way is better, and what counts as practically equal."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from foldsweep import names
from foldsweep.errors import UserError
from foldsweep.objective import Better as Better

Over = Literal["rows", "all"]
Needs = Literal["answer", "probability", "value"]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A number that says how good a model is.

    Over rows, `of(output, target)` gives one value per row, which are averaged; it is measured on
    training batches too. Over all, `of(target, prediction)` gives one number for all held-out rows
    at once, as scikit-learn's metrics do; it is measured at reports.
    """

    of: Callable[..., Any]
    better: Better
    equal: float
    """Region of practical equivalence: differences below this do not matter."""
    over: Over = "rows"
    needs: Needs = "answer"
    """Over all: which prediction it takes, see `Task.predict`."""
    train: bool = True
    """Over rows: whether it is logged for the training batches too."""

    def __post_init__(self) -> None:
        for name, allowed in (("better", Better), ("over", Over), ("needs", Needs)):
            value = getattr(self, name)
            if value not in get_args(allowed):
                either = " or ".join(get_args(allowed))
                raise UserError(f"{name} of a metric must be {either}, but is {value!r}")
        if not callable(self.of):
            raise UserError(f"of of a metric must be a function, but is {self.of!r}")
        if not 0 <= self.equal < math.inf:
            raise UserError(f"equal of a metric must be at least 0, but is {self.equal!r}")

    @property
    def sign(self) -> int:
        """1 where higher is better, -1 where lower is."""
        return names.sign(self.better)
