"""Columns: the input format of estimators, and the preprocessing step of their pipelines."""

import math
from typing import Any

import numpy as np
from jaxtyping import Float64
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from trainables.tasks.samples import CATEGORIES, Samples
from trainables.tasks.table.encode import RARE
from trainables.tasks.task import Shapes


def columns_of(samples: Samples) -> Float64[np.ndarray, "n p"]:
    """Convert all inputs to columns: numbers first, arrays flattened, then category codes.

    NaN stands for a missing number, and for a missing or unseen category.
    """
    blocks = [
        array.reshape(len(array), math.prod(array.shape[1:])).astype(np.float64)
        for name, array in samples.inputs.items()
        if name != CATEGORIES
    ]
    if CATEGORIES in samples.inputs:
        codes = samples.inputs[CATEGORIES]
        blocks.append(np.where(codes < 0, np.nan, codes))
    return np.concatenate(blocks, axis=1)


def widths(shapes: Shapes) -> tuple[int, int]:
    """Number of numeric and number of categorical columns that `columns_of` returns."""
    sizes = {name: math.prod(shape) for name, shape in shapes.inputs.items()}
    categories = sizes.pop(CATEGORIES, 0)
    return sum(sizes.values()), categories


def pipeline(shapes: Shapes, estimator: Any, *, scaled: bool) -> Pipeline:
    """Build the pipeline of an estimator that supports neither missing values nor categories.

    Missing numbers are imputed by medians and flagged in additional columns. Categories are
    one-hot encoded; rare and unseen categories share a column.

    Args:
        shapes: Shapes of the inputs.
        estimator: Last step of the pipeline.
        scaled: Whether numbers are standardised to mean 0 and standard deviation 1.
    """
    impute = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    one_hot = OneHotEncoder(
        handle_unknown="infrequent_if_exist", min_frequency=RARE, sparse_output=False
    )
    p, q = widths(shapes)
    numbers = make_pipeline(impute, StandardScaler()) if scaled else impute
    sorts = [("numeric", numbers, range(p)), ("categories", one_hot, range(p, p + q))]
    columns = ColumnTransformer([(name, step, list(of)) for name, step, of in sorts if of])
    return Pipeline([("columns", columns), ("estimator", estimator)])
