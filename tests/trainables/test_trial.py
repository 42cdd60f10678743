import dataclasses
import math
import statistics

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from foldsweep import names
from tests.trainables.cases import is_tagged
from tests.trainables.same import assert_identical
from trainables.checkpoints import load_checkpoint, save_checkpoint
from trainables.models.pairs.variants import CNN, CNN_WS_AUX, MLP
from trainables.trial import CrossValidation, summary

MODES = ["fused", "looped"]
NAMES = {"val_accuracy", "val_loss", "train_accuracy", "train_loss"}
OF_DIGITS = {"val_digit_accuracy", "train_main_loss", "train_aux_loss"}


def continue_after(epoch, variant, config, context, folder):
    """Interrupt a trial after an epoch, and compare its end with that of an uninterrupted one."""
    through = CrossValidation(variant, config, context, 5)
    through.advance(epoch)
    save_checkpoint(folder, 5, through.state_dict())
    through.advance(config.epochs)
    torch.rand(3)
    restored = CrossValidation(variant, config, context, 5)
    restored.load_state_dict(load_checkpoint(folder, 5))
    assert restored.stack.epoch == len(restored.history) == epoch
    restored.advance(config.epochs)
    assert_identical(restored.state_dict(), through.state_dict())
    assert restored.finished


def test_a_restored_trial_continues_as_if_never_interrupted(
    variant, full_config, make_context, tmp_path
):
    config = full_config(variant)
    continue_after(2, variant, config, make_context(variant), str(tmp_path))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("epoch", [0, 3])
def test_a_trial_may_be_interrupted_after_any_epoch(
    family, mode, epoch, full_config, make_context, tmp_path
):
    config = full_config(family, epochs=4)
    continue_after(epoch, family, config, make_context(mode=mode), str(tmp_path))


def test_a_checkpoint_may_lie_at_a_uri(full_config, make_context, tmp_path):
    continue_after(2, MLP, full_config(MLP), make_context(), tmp_path.as_uri())


def test_a_checkpoint_of_another_configuration_is_refused(small_config, make_context):
    state = CrossValidation(MLP, small_config(MLP), make_context(), 5).state_dict()
    other = CrossValidation(MLP, small_config(MLP, lr=0.5), make_context(), 5)
    with pytest.raises(ValueError, match="checkpoint of trial 5 has another configuration"):
        other.load_state_dict(state)


def test_a_saved_state_does_not_change_afterwards(small_config, make_context):
    trial = CrossValidation(MLP, small_config(MLP), make_context(), 0)
    trial.advance(1)
    state = trial.state_dict()
    before = {name: p.clone() for name, p in state["stack"]["params"].items()}
    trial.advance(3)
    assert len(state["history"]) == 1
    assert_identical(state["stack"]["params"], before)


def test_the_same_trial_gives_the_same_numbers_whatever_went_before(
    family, full_config, make_context
):
    config = full_config(family, epochs=4)
    states = []
    for noise in (1, 7):
        torch.rand(noise)
        np.random.rand(noise)  # noqa: NPY002 (what others may have used)
        CrossValidation(family, config, make_context(), noise).advance(1)
        trial = CrossValidation(family, config, make_context(), 3)
        trial.advance(1)
        torch.rand(noise)
        trial.advance(2)
        states.append(trial.state_dict())
    assert_identical(*states)


@pytest.mark.parametrize("values", [{"seed": 8}, {"number": 4}])
def test_another_seed_or_number_is_another_trial(values, small_config, make_context):
    def loss(seed=7, number=3):
        trial = CrossValidation(MLP, small_config(MLP), make_context(seed=seed), number)
        trial.advance(1)
        return trial.history[0][names.TRAIN_LOSS]

    assert loss() == loss()
    assert loss() != loss(**values)


def test_a_history_holds_every_epoch_in_named_finite_metrics(variant, small_config, make_context):
    trial = CrossValidation(variant, small_config(variant), make_context(variant), 0)
    trial.advance(2)
    trial.advance(2)
    trial.advance(99)
    expected = NAMES | (OF_DIGITS if is_tagged(variant, "auxiliary") else set())
    assert set(trial.by_fold) == expected
    assert all(len(values) == 3 for values in trial.by_fold.values())
    assert [row[names.EPOCH] for row in trial.history] == [1, 2, 3]
    for row in trial.history:
        stds = {names.std_key(name) for name in expected}
        assert set(row) == {names.EPOCH, "time"} | expected | stds
        assert all(math.isfinite(value) for value in row.values())
        if is_tagged(variant, "auxiliary"):
            parts = row["train_main_loss"] + row["train_aux_loss"]
            assert parts == pytest.approx(row[names.TRAIN_LOSS])
    last = {key: trial.history[-1][key] for key in summary(trial.by_fold)}
    assert last == summary(trial.by_fold)
    assert trial.train_time_s > 0


def test_something_can_be_done_after_every_epoch(small_config, make_context):
    trial = CrossValidation(MLP, small_config(MLP), make_context(), 0)
    epochs = []
    trial.advance(3, after_epoch=lambda: epochs.append(trial.stack.epoch))
    assert epochs == [1, 2, 3]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("family", [MLP, CNN, CNN_WS_AUX], ids=lambda v: v.name)
def test_a_trial_that_diverges_stops_at_once(family, mode, small_config, make_context):
    config = small_config(family, lr=1e30)
    trial = CrossValidation(family, config, make_context(mode=mode), 0)
    trial.advance(3)
    assert trial.diverged
    assert trial.finished
    assert len(trial.history) == trial.stack.epoch == 1
    assert not math.isfinite(trial.history[0][names.VAL_LOSS])
    trial.advance(3)
    assert trial.stack.epoch == 1


def test_one_diverged_fold_is_not_averaged_away(small_config, make_context, data, folds):
    """One row is NaN: no fold trains on it, and one fold has it as a held-out row."""
    images = data.train.inputs["images"].copy()
    images[folds[1].val[0]] = np.nan
    train = dataclasses.replace(data.train, inputs={"images": images})
    broken = dataclasses.replace(data, train=train)
    only = dataclasses.replace(folds[0], train=folds[0].train[folds[0].train != folds[1].val[0]])
    context = make_context(data=broken, folds=(only, dataclasses.replace(folds[1])))
    trial = CrossValidation(MLP, small_config(MLP), context, 0)
    trial.advance(3)
    assert trial.diverged
    assert len(trial.history) == 1
    assert [math.isfinite(v) for v in trial.by_fold[names.VAL_LOSS]] == [True, False]
    assert math.isnan(trial.history[0][names.VAL_LOSS])
    assert math.isnan(trial.history[0][names.std_key(names.VAL_LOSS)])
    assert math.isfinite(trial.history[0][names.TRAIN_LOSS])


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=6))
def test_a_summary_is_the_mean_and_the_sample_deviation(values):
    flat = summary({"val_loss": values})
    assert flat["val_loss"] == pytest.approx(statistics.fmean(values))
    assert flat["val_loss_std"] == pytest.approx(statistics.stdev(values))


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_a_summary_of_what_is_not_finite_is_not_finite(value):
    flat = summary({"val_loss": [1.0, value]})
    assert not math.isfinite(flat["val_loss"])
    assert math.isnan(flat["val_loss_std"])


def test_a_summary_of_one_fold_has_no_deviation():
    assert summary({"val_loss": [2.0]}) == {"val_loss": 2.0, "val_loss_std": 0.0}
