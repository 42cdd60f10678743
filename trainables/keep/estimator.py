"""Fitted estimators as data: skops files, which hold no code and are never unpickled."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import skops.io
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.neighbors import KDTree
from sklearn.tree import BaseDecisionTree
from skops.io.exceptions import UnsupportedTypeException, UntrustedTypesFoundException

from foldsweep.errors import UserError, first_line
from foldsweep.files import write_whole

TRUSTED: Final = (
    "functools.partial",  # of functions that are trusted themselves
    "numpy.dtype",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.metrics._dist_metrics.ManhattanDistance64",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.tree._tree.Tree",
    "sklearn.utils.validation.check_array",
    "trainables.models.estimators.boosting.observed",
)
"""Types and functions of the built-in pipelines, besides those that skops trusts. None runs code
of the file. Trees use indices of the file without a check, so loading checks them.
"""


def save(model: Any, path: Path, *, trusted: Collection[str] = ()) -> None:
    """Write a fitted estimator, or a list of them, to a file that `load` reads.

    Args:
        model: Fitted estimator or pipeline, or several in a list.
        path: File to write or replace.
        trusted: Full names of further types in the estimator, which `load` needs too.

    Raises:
        UserError: If the estimator cannot be written, or has types that are not trusted.
    """
    try:
        content = skops.io.dumps(model)
    except (UnsupportedTypeException, TypeError, AttributeError) as error:
        raise UserError.of(
            "keep-estimator.not-storable",
            estimator=type(model).__name__,
            reason=first_line(error),
        ) from None
    _refuse_untrusted(skops.io.get_untrusted_types(data=content), trusted, type(model).__name__)
    write_whole(path, content)


def load(path: Path, *, trusted: Collection[str] = ()) -> Any:
    """Read an estimator that `save` wrote; nothing in the file is executed.

    Args:
        path: The file.
        trusted: Full names of further types to trust, such as those of a user's own estimator.

    Raises:
        UserError: If there is no such file, it is damaged, or it has types that are not trusted.
    """
    try:
        content = path.read_bytes()
        _refuse_untrusted(skops.io.get_untrusted_types(data=content), trusted, str(path))
        model = skops.io.loads(content, trusted=[*TRUSTED, *trusted])
        several = model if isinstance(model, list) and model else [model]
        for one in several:
            if not hasattr(one, "predict"):
                raise UserError.of(
                    "keep-estimator.not-an-estimator", path=path, found=type(one).__name__
                )
        if not all(_sound(part) for part in _parts(model, set())):
            raise UserError.of("keep-estimator.indices-out-of-range", path=path)
    except UserError:
        raise
    except OSError as error:
        raise UserError.of(
            "keep-estimator.file-unreadable", path=path, reason=error.strerror
        ) from None
    except UntrustedTypesFoundException as error:
        raise UserError.of(
            "keep-estimator.types-refused", path=path, reason=first_line(error)
        ) from None
    except Exception as error:  # a damaged file can make skops and scikit-learn raise anything
        raise UserError.of(
            "keep-estimator.not-an-estimator-file", path=path, reason=first_line(error)
        ) from None
    return model


def _refuse_untrusted(found: Collection[str], trusted: Collection[str], what: str) -> None:
    untrusted = sorted(set(found) - set(TRUSTED) - set(trusted))
    if untrusted:
        raise UserError.of(
            "keep-estimator.types-not-trusted", what=what, types=", ".join(untrusted)
        )


def _parts(value: Any, seen: set[int]) -> Iterator[Any]:
    """Yield an object and, recursively, all of its parts."""
    if id(value) in seen:
        return
    seen.add(id(value))
    yield value
    if isinstance(value, dict):
        inner = list(value.values())
    elif isinstance(value, list | tuple | set):
        inner = list(value)
    elif isinstance(value, np.ndarray):
        inner = value.ravel().tolist() if value.dtype == object else []
    else:
        inner = list(getattr(value, "__dict__", {}).values())
    for part in inner:
        yield from _parts(part, seen)


def _sound(part: Any) -> bool:
    """Whether an object's trees index only their own arrays, and only existing columns."""
    match part:
        case BaseDecisionTree(tree_=tree, n_features_in_=columns):
            left, right = tree.children_left, tree.children_right
            fits = tree.node_count <= tree.capacity
            return fits and _inside(left, right, tree.feature, leaf=left == -1, columns=columns)
        case RandomForestClassifier() | RandomForestRegressor():
            return _alike(part)
        case ExtraTreesClassifier() | ExtraTreesRegressor():
            return _alike(part)
        case HistGradientBoostingClassifier() | HistGradientBoostingRegressor():
            columns = part.n_features_in_
            trees = [tree for iteration in part._predictors for tree in iteration]
            fits = part._bin_mapper.is_categorical_.size == columns
            return fits and all(_sound_histogram_tree(tree, columns) for tree in trees)
        case KDTree():
            rows, order, nodes, _ = part.get_arrays()
            place = np.arange(len(nodes))
            leaf = nodes["is_leaf"] != 0
            start, end = nodes["idx_start"], nodes["idx_end"]
            return bool(
                ((0 <= order) & (order < len(rows))).all()
                and ((0 <= start) & (start <= end) & (end <= len(order))).all()
                and _inside(2 * place + 1, 2 * place + 2, place * 0, leaf=leaf, columns=1)
            )
    return True


def _alike(forest: Any) -> bool:
    return all(tree.n_features_in_ == forest.n_features_in_ for tree in forest.estimators_)


def _sound_histogram_tree(tree: Any, columns: int) -> bool:
    nodes = tree.nodes
    leaf = nodes["is_leaf"] != 0
    sets = nodes["bitset_idx"][~leaf & (nodes["is_categorical"] != 0)]
    known = bool((sets < len(tree.raw_left_cat_bitsets)).all())
    return known and _inside(
        nodes["left"], nodes["right"], nodes["feature_idx"], leaf=leaf, columns=columns
    )


def _inside(
    left: np.ndarray, right: np.ndarray, feature: np.ndarray, *, leaf: np.ndarray, columns: int
) -> bool:
    """Whether each node's children come after it, so that every path ends at a leaf.

    Columns of splits must exist as well.
    """
    place = np.flatnonzero(~leaf)
    children = np.stack([left[place], right[place]]).astype(np.int64)
    split = feature[place]
    return bool(
        len(leaf) > 0
        and ((children > place) & (children < len(leaf))).all()
        and ((0 <= split) & (split < columns)).all()
    )
