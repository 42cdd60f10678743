"""Trained parameters and loss weights of each epoch, as configured."""

import numpy as np
import pytest
import torch

from tests.trainables.same import assert_identical
from trainables.models.pairs.variants import CNN_TRANSFER, CNN_WS_AUX
from trainables.stack.engine import belongs
from trainables.stack.scoring import part_key

MODES = ["fused", "looped"]
DECAYS = [0.0, 0.1]
EPOCHS, PRETRAIN = 4, 2


def moved(before, after):
    """Names of the parameters that differ between two states."""
    return {n for n, p in before["params"].items() if not torch.equal(p, after["params"][n])}


def names_in(state, *parts):
    return {name for name in state["params"] if belongs(name, parts)}


@pytest.fixture
def transfer(small_config, make_stack):
    """Function that builds a stack: head frozen for two of four epochs, then the convolutions."""

    def build(*, mode, **values):
        config = small_config(
            CNN_TRANSFER, epochs=EPOCHS, pretrain=PRETRAIN / EPOCHS, dropout=0.3, **values
        )
        return make_stack(CNN_TRANSFER, [config] * 3, mode=mode)

    return build


@pytest.mark.parametrize("mode", MODES)
def test_annealed_weights_are_those_of_their_epoch(mode, small_config, make_stack):
    """Each epoch equals an epoch with constant weights that starts from the same state."""
    config = small_config(CNN_WS_AUX, aux_schedule="linear")
    annealed = make_stack(CNN_WS_AUX, [config] * 2, mode=mode)
    for epoch in range(config.epochs):
        main, aux = config.loss_weights_at(epoch)
        constant = small_config(CNN_WS_AUX, main_weight=main, aux_weight=aux)
        plain = make_stack(CNN_WS_AUX, [constant] * 2, mode=mode)
        plain.load_state_dict(annealed.state_dict())
        one, other = annealed.train_epoch(), plain.train_epoch()
        assert_identical(vars(one), vars(other))
        if epoch == 0:  # the loss is that of the digits only
            np.testing.assert_array_equal(one.train[part_key("aux")], one.train["loss"])
        assert (one.train[part_key("aux")] > 0).all()
        assert_identical(annealed.state_dict(), plain.state_dict())


@pytest.mark.parametrize("mode", MODES)
def test_an_annealed_net_learns_digits_in_the_first_epoch(mode, small_config, make_stack):
    config = small_config(CNN_WS_AUX, digits="side", aux_schedule="linear")
    stack = make_stack(CNN_WS_AUX, [config] * 2, mode=mode)
    states = [stack.state_dict()]
    for _ in range(2):
        stack.train_epoch()
        states.append(stack.state_dict())
    head = names_in(states[0], "head")
    assert moved(states[0], states[1]) == states[0]["params"].keys() - head
    assert moved(states[1], states[2]) == states[0]["params"].keys()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("weight_decay", DECAYS)
@pytest.mark.parametrize("freeze", [True, False])
def test_each_phase_of_a_transfer_trains_its_own_parts(mode, weight_decay, freeze, transfer):
    stack = transfer(mode=mode, weight_decay=weight_decay, freeze=freeze)
    states = [stack.state_dict()]
    for _ in range(EPOCHS):
        stack.train_epoch()
        states.append(stack.state_dict())
    everything = set(states[0]["params"])
    head, digits = names_in(states[0], "head"), names_in(states[0], "digits")
    trunk = names_in(states[0], "branches.0.trunk")
    assert all((head, digits, trunk))
    for epoch in range(EPOCHS):
        still = head if epoch < PRETRAIN else digits | trunk if freeze else digits
        assert moved(states[epoch], states[epoch + 1]) == everything - still


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("weight_decay", DECAYS)
def test_the_second_phase_of_a_transfer_has_a_new_optimiser(mode, weight_decay, transfer):
    stack = transfer(mode=mode, weight_decay=weight_decay)
    for _ in range(PRETRAIN):
        stack.train_epoch()
    state = stack.state_dict()
    steps = state["num_steps"] // PRETRAIN
    moments = [m.abs().sum() for key in ("exp_avg", "exp_avg_sq") for m in state[key]]
    assert any(moment > 0 for moment in moments)
    forgotten = {
        **state,
        "exp_avg": [torch.zeros_like(m) for m in state["exp_avg"]],
        "exp_avg_sq": [torch.zeros_like(m) for m in state["exp_avg_sq"]],
        "num_steps": 0,
    }
    other = transfer(mode=mode, weight_decay=weight_decay)
    other.load_state_dict(forgotten)
    stack.train_epoch()
    other.train_epoch()
    assert stack.state_dict()["num_steps"] == steps
    assert_identical(stack.state_dict(), other.state_dict())
    stack.train_epoch()
    assert stack.state_dict()["num_steps"] == 2 * steps


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("weight_decay", "batch_norm"), [(0.0, "none"), (0.1, "before")])
def test_a_transfer_continues_from_either_phase_and_from_their_border(
    mode, weight_decay, batch_norm, transfer
):
    values = {"mode": mode, "weight_decay": weight_decay, "batch_norm": batch_norm}
    through = transfer(**values)
    states = []
    for _ in range(EPOCHS):
        through.train_epoch()
        states.append(through.state_dict())
    for after in range(1, EPOCHS):
        continued = transfer(**values)
        continued.load_state_dict(states[after - 1])
        assert_identical(continued.state_dict(), states[after - 1])
        for state in states[after:]:
            continued.train_epoch()
            assert_identical(continued.state_dict(), state)


@pytest.mark.parametrize("mode", MODES)
def test_a_stack_goes_back_into_the_phase_of_the_state_it_is_given(mode, transfer):
    stack = transfer(mode=mode)
    stack.train_epoch()
    first = stack.state_dict()
    expected = stack.evaluate()
    for _ in range(EPOCHS - 1):
        stack.train_epoch()
    last = stack.state_dict()
    stack.load_state_dict(first)
    assert_identical(stack.evaluate(), expected)
    for _ in range(EPOCHS - 1):
        stack.train_epoch()
    assert_identical(stack.state_dict(), last)


def test_members_whose_phases_differ_in_length_are_refused(small_config, make_stack):
    configs = [small_config(CNN_TRANSFER, epochs=10, pretrain=share) for share in (0.5, 0.6)]
    with pytest.raises(ValueError, match="must share the length of their phases"):
        make_stack(CNN_TRANSFER, configs)
    same = [small_config(CNN_TRANSFER, epochs=10, pretrain=share) for share in (0.5, 0.52)]
    assert make_stack(CNN_TRANSFER, same).epochs == 10
