"""Metrics: what is measured, which way is better, and what counts as practically equal."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from foldsweep import names

Better = Literal["higher", "lower"]
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
    over: Literal["rows", "all"] = "rows"
    needs: Needs = "answer"
    """Over all: which prediction it takes, see `Task.predict`."""
    train: bool = True
    """Over rows: whether it is logged for the training batches too."""

    @property
    def sign(self) -> int:
        """1 where higher is better, -1 where lower is."""
        return names.sign(self.better)
