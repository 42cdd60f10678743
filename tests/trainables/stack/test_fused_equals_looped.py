"""Both modes give the same numbers from the same seeds, up to rounding.

Runs in double precision, since Adam turns the rounding error of a tiny gradient into a full step.
"""

import numpy as np
import pytest
import torch

from tests.trainables.cases import by_autograd, in_double_precision, is_tagged
from tests.trainables.same import assert_same_metrics, assert_same_state
from tests.trainables.stack.drawing import DRAWS
from trainables.models.pairs.scores import PairConfig
from trainables.models.pairs.variants import CNN_WS_AUX, MLP
from trainables.variants import VARIANTS


def member_configs(variant, full_config):
    """Configurations of members that differ in all fields that may differ.

    All have some weight decay: where a gradient is exactly zero, as before batch-norm, Adam would
    turn its rounding error into a full step.
    """
    rows = [
        {"lr": 0.003, "lr_schedule": "constant"},
        {"lr": 0.001, "weight_decay": 0.1, "dropout": 0.6, "label_smoothing": 0.0, "shift": 0.0},
        {"lr": 0.002, "rotation": 0.0, "scale": 0.3},
    ]
    if is_tagged(variant, "auxiliary"):
        rows[1] |= {"aux_weight": 0.9}
        rows[2] |= {"aux_weight": 0.0}
        if not hasattr(
            full_config(variant), "pretrain"
        ):  # with pretraining, the phases set the weights
            rows[1] |= {"aux_schedule": "linear"}
    if full_config(variant).main_weight > 0:
        rows[1] |= {"main_weight": 0.1}
    return [full_config(variant, **row) for row in rows]


def batch_sizes():
    """Batch sizes for folds of 27, 27 and 28 pairs: 13 leaves a last batch of 1 or 2, 100 none."""
    yield from ((variant, 13) for variant in VARIANTS.values() if by_autograd(variant))
    yield from ((variant, size) for variant in (MLP, CNN_WS_AUX) for size in (9, 100))


@pytest.mark.parametrize(
    ("variant", "batch_size"),
    [pytest.param(v, size, id=f"{v.name}-{size}") for v, size in batch_sizes()],
)
def test_modes_agree_with_everything_switched_on(variant, batch_size, full_config, make_stack):
    configs = [full_config(variant, batch_size=batch_size)] * 3
    stacks = [
        make_stack(in_double_precision(variant), configs, mode=mode)
        for mode in ("fused", "looped")
    ]
    assert_same_state(*(stack.state_dict() for stack in stacks), tol=0)
    for _ in range(3):
        assert_same_metrics(*(stack.train_epoch() for stack in stacks))
    assert_same_state(*(stack.state_dict() for stack in stacks))


def test_modes_agree_where_members_differ(torch_variant, full_config, make_stack):
    configs = member_configs(torch_variant, full_config)
    stacks = [
        make_stack(in_double_precision(torch_variant), configs, mode=mode)
        for mode in ("fused", "looped")
    ]
    for _ in range(3):
        assert_same_metrics(*(stack.train_epoch() for stack in stacks))
    assert_same_state(*(stack.state_dict() for stack in stacks))


@pytest.mark.parametrize("modes", [("fused", "looped"), ("looped", "fused")], ids="-to-".join)
def test_what_one_mode_saved_the_other_continues(family, modes, full_config, make_stack):
    configs, doubled = member_configs(family, full_config), in_double_precision(family)
    through = make_stack(doubled, configs, mode=modes[0])
    for after in (0, 2):
        while through.epoch < after:
            through.train()
        changed = make_stack(doubled, configs, mode=modes[1], seeds=[100, 101, 102])
        changed.load_state_dict(through.state_dict())
        assert_same_state(changed.state_dict(), through.state_dict(), tol=0)
    assert_same_metrics(through.train_epoch(), changed.train_epoch())
    assert_same_state(changed.state_dict(), through.state_dict())


@pytest.mark.parametrize("mode", ["fused", "looped"])
def test_members_differ_only_in_what_tells_them_apart(
    family, mode, full_config, make_stack, folds
):
    """Equal members stay equal, so any difference comes from the seed."""
    config = full_config(family)
    train = [folds[0].train] * 3
    stack = make_stack(family, [config] * 3, mode=mode, train=train, seeds=[1, 1, 2])
    loss = stack.train_epoch().train["loss"]
    assert loss[0] == pytest.approx(loss[1], rel=1e-5)
    assert loss[0] != pytest.approx(loss[2], rel=1e-5)


@pytest.mark.parametrize("mode", ["fused", "looped"])
def test_layers_that_draw_by_themselves_train_repeatably(mode, make_stack):
    configs = [PairConfig(dropout=0.5, batch_size=9)] * 3
    losses = []
    for noise in (1, 2):
        torch.rand(noise)
        stack = make_stack(DRAWS, configs, mode=mode)
        assert stack.noise_sizes == {}
        losses.append([stack.train_epoch().train["loss"] for _ in range(2)])
    np.testing.assert_array_equal(*losses)
