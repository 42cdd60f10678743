"""Metrics: a function, the direction that is better, and the region of practical equivalence."""

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
    """Measure of a model's quality.

    With `over="rows"`, `of(output, target)` returns one value per row; the values are averaged,
    on training batches too. With `over="all"`, `of(target, prediction)` returns one number for
    all held-out rows, as the metrics of scikit-learn do; it is computed at reports.
    """

    of: Callable[..., Any]
    better: Better
    equal: float
    """Region of practical equivalence: differences below this do not matter."""
    over: Over = "rows"
    needs: Needs = "answer"
    """With `over="all"`: name of the prediction that `of` takes, see `Task.predict`."""
    train: bool = True
    """With `over="rows"`: whether the metric is logged for training batches too."""

    def __post_init__(self) -> None:
        for name, allowed in (("better", Better), ("over", Over), ("needs", Needs)):
            value = getattr(self, name)
            if value not in get_args(allowed):
                either = " or ".join(get_args(allowed))
                raise UserError.of("metrics.choice-unknown", name=name, known=either, value=value)
        if not callable(self.of):
            raise UserError.of("metrics.of-not-a-function", value=self.of)
        if not 0 <= self.equal < math.inf:
            raise UserError.of("metrics.equal-out-of-range", equal=self.equal)

    @property
    def sign(self) -> int:
        """1 if higher is better, -1 if lower is."""
        return names.sign(self.better)
