"""Both modes give the same numbers from the same seeds, up to rounding."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from trainables.config import TrialConfig
from trainables.models.layers import Dropout, Scores
from trainables.variants import Variant

EVERYTHING = {
    "dropout": 0.3,
    "weight_decay": 0.01,
    "label_smoothing": 0.1,
    "shift": 1.0,
    "rotation": 10.0,
    "scale": 0.1,
    "lr": 0.003,
}
BATCH_NORM = {"mlp": True, "cnn": "before", "cnn_ws": "after", "cnn_aux": "before"}


def options(variant, **values):
    """All that the variant can be asked for at once."""
    if "batch_norm" in {field.name for field in dataclasses.fields(variant.config)}:
        values["batch_norm"] = BATCH_NORM.get(variant.name, "before")
    return values


def assert_same_state(one, other, *, tol=1e-3):
    assert one["num_steps"] == other["num_steps"]
    assert one["epoch"] == other["epoch"]
    for part in ("params", "buffers"):
        assert one[part].keys() == other[part].keys()
        for name, value in one[part].items():
            torch.testing.assert_close(value, other[part][name], rtol=tol, atol=tol)
    for part in ("exp_avg", "exp_avg_sq"):
        for mine, theirs in zip(one[part], other[part], strict=True):
            torch.testing.assert_close(mine, theirs, rtol=10 * tol, atol=tol)


def assert_same_metrics(one, other):
    assert one.epoch == other.epoch
    for name in ("train_loss", "held_out_loss"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-3)
    for name in ("train_accuracy", "held_out_accuracy", "held_out_digit_accuracy"):
        # rounding may turn a pair that lies on the fence
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=0.08)


def member_configs(variant, small_config):
    """Members that differ in all that they may.

    All have some weight decay: where a gradient is exactly zero, as before batch-norm, Adam would
    blow its rounding up to a full step.
    """
    rows = [
        {"lr": 0.003},
        {"lr": 0.001, "weight_decay": 0.1, "dropout": 0.6, "label_smoothing": 0.0, "shift": 0.0},
        {"lr": 0.002, "rotation": 0.0, "scale": 0.3, "lr_schedule": "cosine"},
    ]
    if variant.auxiliary:
        rows[1]["aux_alpha"], rows[2]["aux_alpha"] = 0.9, 0.0
    return [small_config(variant, **options(variant, **EVERYTHING | row)) for row in rows]


@pytest.mark.parametrize("batch_size", [9, 13, 100])
def test_modes_agree_with_everything_switched_on(variant, batch_size, small_config, make_stack):
    """Three folds of 27, 27 and 28 pairs: 13 leaves a last batch of one or two, 100 none."""
    values = options(variant, **EVERYTHING, batch_size=batch_size)
    configs = [small_config(variant, **values)] * 3
    stacks = [make_stack(variant, configs, mode=mode) for mode in ("fused", "looped")]
    assert_same_state(*(stack.state_dict() for stack in stacks), tol=0)
    for _ in range(3):
        assert_same_metrics(*(stack.train_epoch() for stack in stacks))
    assert_same_state(*(stack.state_dict() for stack in stacks))


def test_modes_agree_where_members_differ(variant, small_config, make_stack):
    configs = member_configs(variant, small_config)
    stacks = [make_stack(variant, configs, mode=mode) for mode in ("fused", "looped")]
    for _ in range(3):
        assert_same_metrics(*(stack.train_epoch() for stack in stacks))
    assert_same_state(*(stack.state_dict() for stack in stacks))


@pytest.mark.parametrize("modes", [("fused", "looped"), ("looped", "fused")], ids="-to-".join)
@pytest.mark.parametrize("after", [0, 2])
def test_what_one_mode_saved_the_other_continues(variant, modes, after, small_config, make_stack):
    configs = member_configs(variant, small_config)
    through = make_stack(variant, configs, mode=modes[0])
    for _ in range(after):
        through.train_epoch()
    changed = make_stack(variant, configs, mode=modes[1], seeds=[100, 101, 102])
    changed.load_state_dict(through.state_dict())
    assert_same_state(changed.state_dict(), through.state_dict(), tol=0)
    for _ in range(3 - after):
        assert_same_metrics(through.train_epoch(), changed.train_epoch())
    assert_same_state(changed.state_dict(), through.state_dict())


@pytest.mark.parametrize("mode", ["fused", "looped"])
def test_members_differ_only_in_what_tells_them_apart(
    variant, mode, small_config, make_stack, folds
):
    """Equal members stay equal, so whatever differs below comes from the seed."""
    config = small_config(variant, **options(variant, **EVERYTHING))
    train = [folds[0].train] * 3
    stack = make_stack(variant, [config] * 3, mode=mode, train=train, seeds=[1, 1, 2])
    metrics = stack.train_epoch()
    assert metrics.train_loss[0] == pytest.approx(metrics.train_loss[1], rel=1e-5)
    assert metrics.train_loss[0] != pytest.approx(metrics.train_loss[2], rel=1e-5)


class Twice(nn.Module):
    """A user's network that runs one dropout layer twice and draws by itself besides."""

    def __init__(self, config):
        super().__init__()
        self.layer = nn.Linear(392, 8)
        self.drop = Dropout(config.dropout)
        self.own = nn.Dropout(config.dropout)
        self.out = nn.Linear(8, 2)

    def forward(self, pair):
        return Scores(self.out(self.own(self.drop(self.drop(self.layer(pair.flatten(1)))))))


@pytest.mark.parametrize("mode", ["fused", "looped"])
def test_layers_that_draw_by_themselves_train_repeatably(mode, make_stack):
    variant = Variant(name="twice", model=Twice, config=TrialConfig)
    configs = [TrialConfig(dropout=0.5, batch_size=9)] * 3
    losses = []
    for noise in (1, 2):
        torch.rand(noise)
        stack = make_stack(variant, configs, mode=mode)
        assert stack.noise_sizes == {}
        losses.append([stack.train_epoch().train_loss for _ in range(2)])
    np.testing.assert_array_equal(*losses)
