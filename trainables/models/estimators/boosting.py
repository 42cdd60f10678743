"""Histogram gradient boosting; the resource is the number of boosting iterations.

Boosting in several steps with `warm_start` is bit-identical to a single fit only without
scikit-learn's own early stopping, which is therefore off for any number of rows.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder

from foldsweep.texts import text
from trainables.models.estimators.columns import widths
from trainables.models.estimators.config import EstimatorConfig, WeightedConfig
from trainables.tasks.table.encode import RARE
from trainables.tasks.task import Shapes

MOST_CATEGORIES = 255
"""Largest number of categories per column that the histograms support."""


@dataclass(frozen=True, kw_only=True)
class HistGradientBoostingConfig(EstimatorConfig):
    """Histogram gradient boosting."""

    RESOURCE: ClassVar[str | None] = "max_iter"

    max_iter: int = 100
    """Boosting iterations: trees, or trees per class if there are more than two classes."""
    learning_rate: float = 0.1
    max_leaf_nodes: int | None = 31
    max_depth: int | None = None
    min_samples_leaf: int = 20
    """Smallest number of training rows in a leaf."""
    l2_regularization: float = 0.0
    max_features: float = 1.0
    """Share of columns that are considered for each split."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_positive("max_iter", "learning_rate", "max_depth", "min_samples_leaf")
        leaves = self.max_leaf_nodes
        self.require("max_leaf_nodes", leaves is None or leaves >= 2, text("boosting.leaves"))
        self.require_amounts("l2_regularization")
        self.require_shares("max_features")

    @property
    def parameters(self) -> dict[str, Any]:
        return {**super().parameters, "max_features": float(self.max_features)}


@dataclass(frozen=True, kw_only=True)
class HistGradientBoostingClassifierConfig(HistGradientBoostingConfig, WeightedConfig):
    """Histogram gradient boosting for classification."""


def hist_gradient_boosting_classifier(
    config: HistGradientBoostingClassifierConfig, shapes: Shapes
) -> Pipeline:
    """Build a pipeline of histogram gradient boosting for classification."""
    return _native(shapes, HistGradientBoostingClassifier, config)


def hist_gradient_boosting_regressor(
    config: HistGradientBoostingConfig, shapes: Shapes
) -> Pipeline:
    """Build a pipeline of histogram gradient boosting for regression."""
    return _native(shapes, HistGradientBoostingRegressor, config)


def observed(columns: Float[np.ndarray, "n p"]) -> list[int]:
    """Indices of columns with at least one value; scikit-learn's histograms fail on the others."""
    return np.flatnonzero(~np.isnan(columns).all(axis=0)).tolist()


def _native(shapes: Shapes, estimator: type, config: HistGradientBoostingConfig) -> Pipeline:
    """Build a pipeline that uses the native support for missing numbers and categories.

    Rare categories share a code. Categories come first, because their column indices must not
    depend on which numeric columns are left out.
    """
    p, q = widths(shapes)
    codes = OrdinalEncoder(
        handle_unknown="use_encoded_value",
        unknown_value=np.nan,
        encoded_missing_value=np.nan,
        min_frequency=RARE,
        max_categories=MOST_CATEGORIES,
    )
    numbers = ColumnTransformer([("observed", "passthrough", observed)])
    sorts = [("categories", codes, range(p, p + q)), ("numeric", numbers, range(p))]
    columns = ColumnTransformer([(name, step, list(of)) for name, step, of in sorts if of])
    booster = estimator(
        **config.parameters,
        early_stopping=False,
        categorical_features=list(range(q)) or None,
    )
    return Pipeline([("columns", columns), ("estimator", booster)])
