"""Forests: random forests and extremely randomised trees. Their resource is the number of trees.

A tree's seed depends on its place in the forest only, so a forest that grows tree by tree equals
one fit to the last bit.
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
    """What all forests have; the defaults are those of a regression."""

    RESOURCE: ClassVar[str | None] = "n_estimators"

    n_estimators: int = 100
    """Trees."""
    max_features: float | Literal["sqrt", "log2"] = 1.0
    """Share, or function of the number, of columns that a split chooses from."""
    max_depth: int | None = None
    min_samples_leaf: int = 1
    """Training rows in a leaf at least."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_positive("n_estimators", "max_depth", "min_samples_leaf")
        self.require_shares("max_features")

    @property
    def parameters(self) -> dict[str, Any]:
        share = self.max_features  # which scikit-learn takes for a number of columns if whole
        features = share if isinstance(share, str) else float(share)
        return {**super().parameters, "max_features": features}


@dataclass(frozen=True, kw_only=True)
class ForestClassifierConfig(ForestConfig, WeightedConfig):
    """A forest that classifies."""

    max_features: float | Literal["sqrt", "log2"] = "sqrt"


@dataclass(frozen=True, kw_only=True)
class BootstrapConfig(EstimatorConfig):
    """A forest whose trees see a random part of the rows each."""

    max_samples: float = 1.0
    """Rows that a tree draws, with replacement, as a share of the training rows."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_shares("max_samples")

    @property
    def parameters(self) -> dict[str, Any]:
        return {**super().parameters, "max_samples": float(self.max_samples)}


@dataclass(frozen=True, kw_only=True)
class RandomForestClassifierConfig(BootstrapConfig, ForestClassifierConfig):
    """Random forest that classifies."""


@dataclass(frozen=True, kw_only=True)
class RandomForestRegressorConfig(BootstrapConfig, ForestConfig):
    """Random forest that predicts numbers."""


def random_forest_classifier(config: RandomForestClassifierConfig, shapes: Shapes) -> Pipeline:
    """Random forest that classifies."""
    return pipeline(shapes, RandomForestClassifier(**config.parameters, n_jobs=1), scaled=False)


def random_forest_regressor(config: RandomForestRegressorConfig, shapes: Shapes) -> Pipeline:
    """Random forest that predicts numbers."""
    return pipeline(shapes, RandomForestRegressor(**config.parameters, n_jobs=1), scaled=False)


def extra_trees_classifier(config: ForestClassifierConfig, shapes: Shapes) -> Pipeline:
    """Extremely randomised trees that classify."""
    return pipeline(shapes, ExtraTreesClassifier(**config.parameters, n_jobs=1), scaled=False)


def extra_trees_regressor(config: ForestConfig, shapes: Shapes) -> Pipeline:
    """Extremely randomised trees that predict numbers."""
    return pipeline(shapes, ExtraTreesRegressor(**config.parameters, n_jobs=1), scaled=False)
