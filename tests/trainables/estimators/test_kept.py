"""Kept estimators: reading restores what was written, and a foreign file executes no code."""

import io
import json
import os
import zipfile

import numpy as np
import pytest
import skops.io
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from tests.refusals import refused
from tests.trainables.estimators.cases import VARIANTS, mixed, plain, stack_of, variant_of
from trainables.keep.estimator import load, save
from trainables.models.estimators.columns import columns_of
from trainables.models.estimators.predicting import predictions_of

X = np.random.default_rng(0).normal(size=(60, 3))
Y = (X[:, 0] > 0).astype(np.int64)


class Unknown(RandomForestClassifier):
    """User-defined estimator."""


@pytest.mark.parametrize("table", [plain, mixed])
@pytest.mark.parametrize(("name", "kind"), VARIANTS)
def test_estimator_is_read_as_it_was_written(name, kind, table, tmp_path):
    task = table(kind)
    stack = stack_of(variant_of(name, task))
    stack.advance(stack.epochs)
    model, columns = stack.models[0], columns_of(task.data.train)

    save(model, tmp_path / "model.skops")
    read = load(tmp_path / "model.skops")

    before = predictions_of(model, columns, classes=task.outputs)
    after = predictions_of(read, columns, classes=task.outputs)
    assert all(np.array_equal(before[key], after[key]) for key in before)
    assert str(read) == str(model)


@pytest.mark.parametrize("values", [{"p": 1}, {"weights": "distance"}])
def test_neighbours_in_few_columns_are_read(values, tmp_path):
    model = KNeighborsClassifier(**values).fit(X, Y)

    save(model, tmp_path / "model.skops")

    assert np.array_equal(load(tmp_path / "model.skops").predict_proba(X), model.predict_proba(X))


def test_calibrated_classifier_is_read(tmp_path):
    stack = stack_of(variant_of("svm", plain("classification")), probability=True)
    stack.advance(1)
    columns = stack.columns

    save(stack.models[0], tmp_path / "model.skops")

    read = load(tmp_path / "model.skops")
    assert np.array_equal(read.predict_proba(columns), stack.models[0].predict_proba(columns))


def test_untrusted_type_is_named_when_it_is_written_and_when_it_is_read(tmp_path):
    path = tmp_path / "model.skops"
    model = Unknown(2).fit(X, Y)
    name = f"{Unknown.__module__}.Unknown"

    with refused("keep-estimator.types-not-trusted", what="Unknown", types=name):
        save(model, path)
    assert not path.exists()

    save(model, path, trusted=[name])
    with refused("keep-estimator.types-not-trusted", what=path, types=name):
        load(path)
    assert isinstance(load(path, trusted=[name]), Unknown)


@pytest.mark.parametrize("function", [os.system, eval, print])
def test_file_of_others_executes_nothing(function, tmp_path):
    model = make_pipeline(FunctionTransformer(function, check_inverse=False), Unknown())
    path = tmp_path / "model.skops"
    skops.io.dump(model, path)

    with refused("keep-estimator.types-not-trusted", what=path) as caught:
        load(path)

    assert "\n" not in str(caught.value)


def damaged(path, change):
    """Replace each part of a zip file by `change(name, content)`."""
    with zipfile.ZipFile(path) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(path, "w") as file:
        for name, content in parts.items():
            file.writestr(name, change(name, content))


@pytest.mark.parametrize(
    ("model", "field", "value"),
    [
        (RandomForestClassifier(2), "left_child", 10**6),
        (RandomForestClassifier(2), "right_child", 0),
        (RandomForestClassifier(2), "feature", 3),
        (HistGradientBoostingClassifier(max_iter=2, min_samples_leaf=2), "left", 10**6),
        (HistGradientBoostingClassifier(max_iter=2, min_samples_leaf=2), "feature_idx", -1),
        (KNeighborsClassifier(leaf_size=4, algorithm="kd_tree"), "idx_end", 10**6),
        (KNeighborsClassifier(leaf_size=4, algorithm="kd_tree"), "is_leaf", 0),
    ],
)
def test_tree_that_points_outside_of_itself_is_refused(model, field, value, tmp_path):
    path = tmp_path / "model.skops"
    save(model.fit(X, Y), path)

    def change(name, content):
        if not name.endswith(".npy"):
            return content
        array = np.load(io.BytesIO(content), allow_pickle=False)
        if field not in (array.dtype.names or ()):
            return content
        array = array.copy()
        array[field][-1 if field == "is_leaf" else 0] = value
        buffer = io.BytesIO()
        np.save(buffer, array)
        return buffer.getvalue()

    damaged(path, change)

    with refused("keep-estimator.indices-out-of-range", path=path):
        load(path)


def test_forest_of_trees_for_more_columns_is_refused(tmp_path):
    path = tmp_path / "model.skops"
    model = RandomForestClassifier(2).fit(X, Y)
    model.n_features_in_ = 2
    save(model, path)

    with refused("keep-estimator.indices-out-of-range", path=path):
        load(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no zip", b"\x80\x04N."])
def test_file_that_is_none_is_refused(content, tmp_path):
    path = tmp_path / "model.skops"
    path.write_bytes(content)

    with refused("keep-estimator.not-an-estimator-file", path=path):
        load(path)


def test_missing_file_is_named(tmp_path):
    path, reason = tmp_path / "none.skops", "No such file or directory"
    with refused("keep-estimator.file-unreadable", path=path, reason=reason):
        load(path)


def test_other_object_is_refused(tmp_path):
    path = tmp_path / "model.skops"
    skops.io.dump({"a": json.dumps([1])}, path)

    with refused("keep-estimator.not-an-estimator", path=path, found="dict"):
        load(path)
