from functools import partial
from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.refusals import refused
from tests.trainables.backprop.reference import assert_close, each, member_axes, randn, seeds
from trainables.backprop.optimisers import OPTIMISERS, OptimiserName, make_optimiser

TORCHS = {
    "sgd": torch.optim.SGD,
    "momentum": partial(torch.optim.SGD, momentum=0.9),
    "adagrad": torch.optim.Adagrad,
    "rmsprop": partial(torch.optim.RMSprop, alpha=0.9),
}


@pytest.mark.parametrize("name", OPTIMISERS)
@given(members=member_axes, per_member=st.booleans(), p=st.integers(1, 4), seed=seeds)
def test_optimisers_are_torchs_step_by_step(name, members, per_member, p, seed):
    torch.manual_seed(seed)
    params = randn(*members, p)
    rates = torch.rand(members, dtype=torch.float64) + 0.01 if per_member else 0.07
    ours = make_optimiser(name)
    copies = {member: params[member].clone().requires_grad_() for member in each(members)}
    theirs = {
        member: TORCHS[name]([copy], lr=float(rates[member]) if per_member else rates)
        for member, copy in copies.items()
    }
    for _ in range(5):
        grads = randn(*members, p)
        ours.update(params, grads, rates)
        for member, copy in copies.items():
            copy.grad = grads[member].clone()
            theirs[member].step()
            assert_close(params[member], copy)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_a_gradient_of_0_moves_nothing_at_first(name):
    params = torch.ones(2, 3)
    make_optimiser(name).update(params, torch.zeros(2, 3), torch.tensor([0.1, 0.2]))
    assert params.eq(1).all()


@pytest.mark.parametrize("name", OPTIMISERS)
@pytest.mark.parametrize("after", [0, 2])
def test_an_optimiser_continues_from_a_state(name, after):
    torch.manual_seed(0)
    params, grads = randn(3), randn(4, 3)
    through = make_optimiser(name)
    for g in grads[:after]:
        through.update(params, g, 0.1)
    state, copy = through.state_dict(), params.clone()
    for g in grads[after:]:
        through.update(params, g, 0.1)
    continued = make_optimiser(name)
    continued.update(torch.ones(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64), 0.1)
    continued.load_state_dict(state)
    for g in grads[after:]:
        continued.update(copy, g, 0.1)
    assert torch.equal(copy, params)


def test_another_optimisers_state_is_refused():
    momentum = make_optimiser("momentum")
    momentum.update(torch.ones(3), torch.ones(3), 0.1)
    with pytest.raises(ValueError, match="must hold .'squares'., but holds .'velocity'."):
        make_optimiser("rmsprop").load_state_dict(momentum.state_dict())


def test_an_unknown_optimiser_is_refused_with_the_known_ones():
    assert set(OPTIMISERS) == set(get_args(OptimiserName))
    with refused(
        "backprop-names.unknown", what="optimiser", known=" or ".join(OPTIMISERS), name="adam"
    ):
        make_optimiser("adam")
