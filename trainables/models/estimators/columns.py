"""Columns of samples as estimators take them, and the first step of every pipeline."""

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
    """Columns of all inputs: numbers first, arrays flattened, then category codes.

    NaN stands for a missing number, and for a category that is missing or unseen.
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
    """Numbers of numeric and of categorical columns that `columns_of` gives."""
    sizes = {name: math.prod(shape) for name, shape in shapes.inputs.items()}
    categories = sizes.pop(CATEGORIES, 0)
    return sum(sizes.values()), categories


def pipeline(shapes: Shapes, estimator: Any, *, scaled: bool) -> Pipeline:
    """Pipeline of an estimator that takes neither missing values nor categories.

    Medians fill in for missing numbers, with a column that flags them. Categories become one-hot
    columns; rare ones share a column, and unseen ones join it.

    Args:
        shapes: Shapes of the inputs.
        estimator: The last step.
        scaled: Whether numbers get mean 0 and deviation 1.
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
