"""Random forests and extremely randomised trees; the resource is the number of trees.

The seed of a tree depends on its index in the forest only, so adding trees in several steps is
bit-identical to a single fit.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.pipeline import Pipeline

from trainables.models.estimators.columns import pipeline
from trainables.models.estimators.config import EstimatorConfig, WeightedConfig
from trainables.tasks.task import Shapes


@dataclass(frozen=True, kw_only=True)
class ForestConfig(EstimatorConfig):
    """Base configuration of forests; the defaults are those of scikit-learn's regressors."""

    RESOURCE: ClassVar[str | None] = "n_estimators"

    n_estimators: int = 100
    """Number of trees."""
    max_features: float | Literal["sqrt", "log2"] = 1.0
    """Columns that are considered for each split: a share, or `sqrt` or `log2` of their number."""
    max_depth: int | None = None
    min_samples_leaf: int = 1
    """Smallest number of training rows in a leaf."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_positive("n_estimators", "max_depth", "min_samples_leaf")
        self.require_shares("max_features")

    @property
    def parameters(self) -> dict[str, Any]:
        share = self.max_features  # scikit-learn reads an int as a number of columns
        features = share if isinstance(share, str) else float(share)
        return {**super().parameters, "max_features": features}


@dataclass(frozen=True, kw_only=True)
class ForestClassifierConfig(ForestConfig, WeightedConfig):
    """Base configuration of forests for classification."""

    max_features: float | Literal["sqrt", "log2"] = "sqrt"


@dataclass(frozen=True, kw_only=True)
class BootstrapConfig(EstimatorConfig):
    """Base configuration of forests whose trees are trained on bootstrap samples."""

    max_samples: float = 1.0
    """Size of each bootstrap sample, drawn with replacement, as a share of the training rows."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_shares("max_samples")

    @property
    def parameters(self) -> dict[str, Any]:
        return {**super().parameters, "max_samples": float(self.max_samples)}


@dataclass(frozen=True, kw_only=True)
class RandomForestClassifierConfig(BootstrapConfig, ForestClassifierConfig):
    """Random forest for classification."""


@dataclass(frozen=True, kw_only=True)
class RandomForestRegressorConfig(BootstrapConfig, ForestConfig):
    """Random forest for regression."""


def random_forest_classifier(config: RandomForestClassifierConfig, shapes: Shapes) -> Pipeline:
    """Build a pipeline of a random forest for classification."""
    return pipeline(shapes, RandomForestClassifier(**config.parameters, n_jobs=1), scaled=False)


def random_forest_regressor(config: RandomForestRegressorConfig, shapes: Shapes) -> Pipeline:
    """Build a pipeline of a random forest for regression."""
    return pipeline(shapes, RandomForestRegressor(**config.parameters, n_jobs=1), scaled=False)


def extra_trees_classifier(config: ForestClassifierConfig, shapes: Shapes) -> Pipeline:
    """Build a pipeline of extremely randomised trees for classification."""
    return pipeline(shapes, ExtraTreesClassifier(**config.parameters, n_jobs=1), scaled=False)


def extra_trees_regressor(config: ForestConfig, shapes: Shapes) -> Pipeline:
    """Build a pipeline of extremely randomised trees for regression."""
    return pipeline(shapes, ExtraTreesRegressor(**config.parameters, n_jobs=1), scaled=False)
