"""Support vector machines with a radial basis function (RBF) kernel."""

from dataclasses import dataclass
from typing import Any, Literal

from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR

from trainables.models.estimators.columns import pipeline
from trainables.models.estimators.config import EstimatorConfig, WeightedConfig
from trainables.tasks.task import Shapes


@dataclass(frozen=True, kw_only=True)
class SVMConfig(EstimatorConfig):
    """Base configuration of support vector machines."""

    C: float = 1.0
    """Inverse strength of the penalty."""
    gamma: float | Literal["scale", "auto"] = "scale"
    """Inverse width of the kernel."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_positive("C", "gamma")


@dataclass(frozen=True, kw_only=True)
class SVCConfig(SVMConfig, WeightedConfig):
    """Support vector classifier."""

    probability: bool = False
    """Whether probabilities are calibrated on five inner folds, which takes six fits instead of
    one. Without calibration they are sigmoids of the decision function, which only rank rows."""

    @property
    def parameters(self) -> dict[str, Any]:
        return {k: v for k, v in super().parameters.items() if k != "probability"}


@dataclass(frozen=True, kw_only=True)
class SVRConfig(SVMConfig):
    """Support vector regressor; the target is standardised by the training rows."""

    epsilon: float = 0.1
    """Error, in standard deviations of the target, below which the loss of a row is 0."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_amounts("epsilon")


def svc(config: SVCConfig, shapes: Shapes) -> Pipeline:
    """Build a pipeline of a support vector classifier on standardised columns.

    Calibration adjusts decisions to the class frequencies, which undoes
    `class_weight="balanced"`, so the classifier is calibrated only with `probability`.
    """
    machine = SVC(**config.parameters)
    if config.probability:
        machine = CalibratedClassifierCV(machine, method="sigmoid", cv=5, ensemble=False)
    return pipeline(shapes, machine, scaled=True)


def svr(config: SVRConfig, shapes: Shapes) -> Pipeline:
    """Build a pipeline of a support vector regressor on standardised columns and target."""
    machine = TransformedTargetRegressor(SVR(**config.parameters), transformer=StandardScaler())
    return pipeline(shapes, machine, scaled=True)
