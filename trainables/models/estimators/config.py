"""Configurations of estimators; fields are named like the parameters of scikit-learn."""

import math
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from foldsweep.texts import text
from trainables.config import BaseConfig, ClassWeight


@dataclass(frozen=True, kw_only=True)
class EstimatorConfig(BaseConfig):
    """Base configuration of estimators; derive from it and add fields.

    An estimator with a `RESOURCE` reports while it is fitted and may be stopped early. Set a
    resource only if fitting some steps, and further steps with `warm_start`, equals a single fit
    of all steps. Every other estimator is fitted at once.
    """

    RESOURCE: ClassVar[str | None] = None
    """Field that counts the steps of a fit, such as trees; None if there is a single fit."""

    @property
    def epochs(self) -> int:
        """Number of steps of the resource; 1 for an estimator without a resource."""
        return 1 if self.RESOURCE is None else int(getattr(self, self.RESOURCE))

    @property
    def parameters(self) -> dict[str, Any]:
        """Keyword arguments of the estimator."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def require_positive(self, *names: str) -> None:
        """Refuse fields whose numbers are not finite or not above 0.

        Raises:
            UserError: For the first such field.
        """
        for name in names:
            value = getattr(self, name)
            if isinstance(value, int | float):
                self.require(name, math.isfinite(value) and value > 0, text("rules.positive"))

    def require_shares(self, *names: str) -> None:
        """Refuse fields whose numbers are not above 0 and at most 1.

        Raises:
            UserError: For the first such field.
        """
        for name in names:
            value = getattr(self, name)
            if isinstance(value, int | float):
                self.require(name, 0 < value <= 1, text("rules.share"))


@dataclass(frozen=True, kw_only=True)
class WeightedConfig(EstimatorConfig):
    """Base configuration of classifiers that support class weights."""

    class_weight: ClassWeight = "none"
    """`balanced` gives every class the same total weight."""

    @property
    def parameters(self) -> dict[str, Any]:
        weight = None if self.class_weight == "none" else self.class_weight
        return {**super().parameters, "class_weight": weight}
