"""Configurations of estimators: fields are named as scikit-learn's parameters."""

import math
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from trainables.config import BaseConfig, ClassWeight


@dataclass(frozen=True, kw_only=True)
class EstimatorConfig(BaseConfig):
    """What every estimator has; derive from it and add fields.

    An estimator with a `RESOURCE` reports before its end and may be stopped early. Name one only
    where n steps, then more with `warm_start`, equal one fit of all steps. Every other estimator
    is one fit.
    """

    RESOURCE: ClassVar[str | None] = None
    """Field that counts an estimator's steps, such as trees; None where it is fitted at once."""

    @property
    def epochs(self) -> int:
        """Units of the resource; 1 for an estimator that is fitted at once."""
        return 1 if self.RESOURCE is None else int(getattr(self, self.RESOURCE))

    @property
    def parameters(self) -> dict[str, Any]:
        """Keyword arguments of the estimator."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def require_positive(self, *names: str) -> None:
        """Refuse numbers that are not finite or not above 0.

        Raises:
            UserError: At the first such field.
        """
        for name in names:
            value = getattr(self, name)
            if isinstance(value, int | float):
                self.require(name, math.isfinite(value) and value > 0, "finite and above 0")

    def require_shares(self, *names: str) -> None:
        """Refuse numbers that are not above 0 and at most 1.

        Raises:
            UserError: At the first such field.
        """
        for name in names:
            value = getattr(self, name)
            if isinstance(value, int | float):
                self.require(name, 0 < value <= 1, "above 0 and at most 1")


@dataclass(frozen=True, kw_only=True)
class WeightedConfig(EstimatorConfig):
    """A classifier that can weight rows by class."""

    class_weight: ClassWeight = "none"
    """`balanced` gives every class the same total weight."""

    @property
    def parameters(self) -> dict[str, Any]:
        weight = None if self.class_weight == "none" else self.class_weight
        return {**super().parameters, "class_weight": weight}
