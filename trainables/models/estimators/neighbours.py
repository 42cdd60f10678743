"""k-nearest neighbours."""

from dataclasses import dataclass
from typing import Literal

from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import Pipeline

from trainables.models.estimators.columns import pipeline
from trainables.models.estimators.config import EstimatorConfig
from trainables.tasks.task import Shapes


@dataclass(frozen=True, kw_only=True)
class KNNConfig(EstimatorConfig):
    """k-nearest neighbours: mean or majority of the nearest training rows."""

    n_neighbors: int = 5
    weights: Literal["uniform", "distance"] = "uniform"
    """`distance` weights neighbours by the inverse of their distance."""
    p: float = 2.0
    """Power of the Minkowski distance: 1 is Manhattan, 2 is Euclidean."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_positive("n_neighbors", "p")


def knn_classifier(config: KNNConfig, shapes: Shapes) -> Pipeline:
    """Build a pipeline of k-nearest neighbours for classification, on standardised columns."""
    return pipeline(shapes, KNeighborsClassifier(**config.parameters, n_jobs=1), scaled=True)


def knn_regressor(config: KNNConfig, shapes: Shapes) -> Pipeline:
    """Build a pipeline of k-nearest neighbours for regression, on standardised columns."""
    return pipeline(shapes, KNeighborsRegressor(**config.parameters, n_jobs=1), scaled=True)
