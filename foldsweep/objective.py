"""Objectives: metrics with their direction and region of practical equivalence."""

import math
from dataclasses import dataclass
from typing import Literal

from foldsweep.checks import brief, fits
from foldsweep.files import parsed
from foldsweep.names import bare, sign, test_key

Better = Literal["higher", "lower"]


@dataclass(frozen=True, kw_only=True)
class Objective:
    """A metric by which trials are optimised or compared."""

    key: str
    """Key in MLflow, such as `val_accuracy`, `val_loss` or `num_params`."""
    better: Better
    equal: float
    """Region of practical equivalence: differences below this do not matter."""

    @property
    def name(self) -> str:
        """Short name, such as `accuracy`."""
        return bare(self.key)

    @property
    def sign(self) -> int:
        """1 if higher is better, -1 if lower is."""
        return sign(self.better)

    @property
    def by_fold(self) -> bool:
        """Whether the metric is measured on the held-out rows of each fold."""
        return self.key.startswith("val_")

    @property
    def is_share(self) -> bool:
        """Whether the metric is a fraction of rows, which changes in steps of one row."""
        return self.name == "accuracy"

    @property
    def test_key(self) -> str:
        """Key of the same metric on test rows."""
        return test_key(self.name)


def objectives_of(record: str) -> dict[str, Objective]:
    """Read all objectives of a task, by key, from the value of the tag `TAG_METRICS`.

    Raises:
        ValueError: If the record is damaged.
    """
    values = parsed(record)
    if not isinstance(values, dict):
        raise ValueError("the record of metrics is not a mapping")
    return {key: _objective(key, value) for key, value in values.items()}


def _objective(key: str, value: object) -> Objective:
    known = value if isinstance(value, dict) else {}
    better, equal = known.get("better"), known.get("equal")
    number = float(equal) if equal is not None and fits(equal, float) else math.nan
    if better not in ("higher", "lower") or not 0 <= number < math.inf:
        raise ValueError(f"the record of metric {key} is not valid: {brief(value)}")
    return Objective(key=key, better=better, equal=number)
