"""Linear models: logistic regression and ridge regression."""

from dataclasses import dataclass

from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline

from trainables.models.estimators.columns import pipeline
from trainables.models.estimators.config import EstimatorConfig, WeightedConfig
from trainables.tasks.task import Shapes


@dataclass(frozen=True, kw_only=True)
class LogisticConfig(WeightedConfig):
    """Logistic regression with an L2 penalty."""

    C: float = 1.0
    """Inverse strength of the penalty."""
    max_iter: int = 100
    """Largest number of iterations of the solver; a fit that needs more ends with a warning."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_positive("C", "max_iter")


@dataclass(frozen=True, kw_only=True)
class RidgeConfig(EstimatorConfig):
    """Least squares with an L2 penalty."""

    alpha: float = 1.0
    """Strength of the penalty."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_amounts("alpha")


def logistic(config: LogisticConfig, shapes: Shapes) -> Pipeline:
    """Build a pipeline of logistic regression on standardised columns."""
    return pipeline(shapes, LogisticRegression(**config.parameters), scaled=True)


def ridge(config: RidgeConfig, shapes: Shapes) -> Pipeline:
    """Build a pipeline of ridge regression on standardised columns."""
    return pipeline(shapes, Ridge(**config.parameters), scaled=True)
