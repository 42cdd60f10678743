"""Contract of every preset; a new row is tested without new code.

Scores, shapes and gradients are tested with those of the variants, in `test_variants.py`.
"""

import numpy as np
import pytest

from tests.trainables.cases import (
    by_autograd,
    config_of,
    distinct_networks,
    in_double_precision,
    is_tagged,
    size_of,
    variant_of,
)
from tests.trainables.same import assert_identical, assert_same_state
from trainables.presets.registry import PRESETS
from trainables.stack.stack import FoldStack, Member

NETWORKS = distinct_networks()
OF_TORCH = [name for name in NETWORKS if by_autograd(variant_of(name))]
ONE_PARAMETER_TOO_MANY_IN_PRINT = {"kong/w_net"}


@pytest.fixture(scope="module")
def make(request, data_for, folds):
    """Function that builds a stack: two members, twelve pairs each, two epochs of one step."""
    variant = variant_of(request.param)
    if by_autograd(variant):
        variant = in_double_precision(variant)
    config = config_of(request.param, epochs=2, batch_size=12, weight_decay=0.01)
    members = [
        Member(config=config, train=fold.train[:12], held_out=fold.val, seed=100 + i)
        for i, fold in enumerate(folds[:2])
    ]

    def build(mode):
        samples = data_for(variant).train
        return FoldStack(variant.model, members, samples, task=variant.task, mode=mode)

    return build


@pytest.fixture(scope="module")
def trained(make):
    """Training history by mode: loss and state at the start and after each epoch."""

    def run(stack):
        history = [(0.0, stack.state_dict())]
        for _ in range(2):
            loss = stack.train()["loss"]
            history.append((loss, stack.state_dict()))
        return history

    return {mode: run(make(mode)) for mode in ("fused", "looped")}


@pytest.mark.parametrize("make", OF_TORCH, indirect=True, scope="module")
def test_modes_agree(trained):
    for (loss, state), (other_loss, other) in zip(*trained.values(), strict=True):
        np.testing.assert_allclose(loss, other_loss, rtol=1e-6)
        assert_same_state(state, other, tol=1e-6)


@pytest.mark.parametrize("make", NETWORKS, indirect=True, scope="module")
def test_a_saved_state_continues(make, trained):
    restored = make("auto")
    (_, saved), (_, expected) = trained[restored.mode][1:]
    restored.load_state_dict(saved)
    restored.train()
    assert_identical(restored.state_dict(), expected)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_a_complete_configuration_of_its_variant(name):
    config, variant = config_of(name), variant_of(name)
    assert PRESETS[name].name == name
    assert type(config).from_dict(config.to_dict()) == config
    assert (getattr(config, "aux_weight", 0.0) > 0) == is_tagged(variant, "auxiliary")
    for field in ("lr", "batch_size", "epochs"):
        assert field in PRESETS[name].config


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_has_as_many_parameters_as_its_report_says(name):
    preset = PRESETS[name]
    if preset.params is not None:
        assert size_of(variant_of(name).model(config_of(name))) == preset.params
    for measurement in preset.measurements:
        if measurement.reported.params is not None:
            excess = int(name in ONE_PARAMETER_TOO_MANY_IN_PRINT)
            assert measurement.reported.params == preset.params + excess
