"""Example of a user-defined estimator: LightGBM."""

import importlib.util
from pathlib import Path

import pytest

from foldsweep.errors import UserError
from tests.refusals import refused
from tests.trainables.estimators.cases import stack_of
from trainables.keep.estimator import load, save
from trainables.models.estimators.predicting import predictions_of

EXAMPLE = Path(__file__).parents[3] / "docs/examples/boosting.py"
TYPES = (
    "collections.OrderedDict",
    "lightgbm.basic.Booster",
    "lightgbm.sklearn.LGBMClassifier",
)
"""Types in a fitted pipeline that are not scikit-learn's."""


@pytest.fixture
def example():
    spec = importlib.util.spec_from_file_location("boosting_example", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_missing_library_is_named_in_a_line(example, monkeypatch):
    monkeypatch.setattr(example, "find_spec", lambda name: None)

    with pytest.raises(UserError, match=r"needs LightGBM: pip install -e"):
        example.space()


def test_booster_is_cross_validated_and_kept(example, tmp_path):
    pytest.importorskip("lightgbm")
    variant = example.space().variant
    stack, again = stack_of(variant, n_estimators=20), stack_of(variant, n_estimators=20)
    stack.advance(1)
    again.advance(1)
    held_out, _ = stack.measure()

    assert min(held_out["roc_auc"]) > 0.95
    assert held_out == again.measure()[0]
    with refused("keep-estimator.types-not-trusted") as caught:
        save(stack.models[0], tmp_path / "model.skops")
    assert "lightgbm.basic.Booster" in caught.value.values["types"]
    save(stack.models[0], tmp_path / "model.skops", trusted=TYPES)
    read = load(tmp_path / "model.skops", trusted=TYPES)
    before = predictions_of(stack.models[0], stack.columns, classes=2)
    after = predictions_of(read, stack.columns, classes=2)
    assert all((before[key] == after[key]).all() for key in before)
