"""Objectives: what is optimised or compared, which way is better, and what counts as equal."""

import math
from dataclasses import dataclass
from typing import Literal

from foldsweep.checks import brief, fits
from foldsweep.files import parsed
from foldsweep.names import bare, sign, test_key

Better = Literal["higher", "lower"]


@dataclass(frozen=True, kw_only=True)
class Objective:
    """A metric that decides which trial is better."""

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
        """1 where higher is better, -1 where lower is."""
        return sign(self.better)

    @property
    def by_fold(self) -> bool:
        """Whether it is measured on the held-out rows of each fold."""
        return self.key.startswith("val_")

    @property
    def is_share(self) -> bool:
        """Whether it is a share of rows, which comes in steps of one row."""
        return self.name == "accuracy"

    @property
    def test_key(self) -> str:
        """Key of the same metric on test rows."""
        return test_key(self.name)


def objectives_of(record: str) -> dict[str, Objective]:
    """All that a sweep can optimise, by key, as the tag `TAG_METRICS` has it.

    Raises:
        ValueError: If the record is damaged.
    """
    values = parsed(record)
    if not isinstance(values, dict):
        raise ValueError("the record of metrics is no mapping")
    return {key: _objective(key, value) for key, value in values.items()}


def _objective(key: str, value: object) -> Objective:
    known = value if isinstance(value, dict) else {}
    better, equal = known.get("better"), known.get("equal")
    number = float(equal) if equal is not None and fits(equal, float) else math.nan
    if better not in ("higher", "lower") or not 0 <= number < math.inf:
        raise ValueError(f"the record of metric {key} is {brief(value)}")
    return Objective(key=key, better=better, equal=number)
