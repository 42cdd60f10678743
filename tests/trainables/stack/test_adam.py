import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainables.stack.adam import MemberAdam, StackedAdam

shapes = st.lists(st.lists(st.integers(1, 3), max_size=3).map(tuple), min_size=1, max_size=3)
rates = st.floats(1e-5, 0.5)
decays = st.floats(0, 0.5)


def by_member(adam, lr):
    adam.step(lr)


def all_at_once(adam, lr):
    adam.update(*adam.advance(lr))


@pytest.mark.parametrize("step", [by_member, all_at_once])
@given(
    shapes=shapes,
    members=st.lists(st.tuples(rates, decays), min_size=1, max_size=3),
    factors=st.lists(st.floats(0.1, 1), min_size=1, max_size=5),
    seed=st.integers(0, 999),
)
def test_stacked_adam_is_torchs_adam_step_by_step(step, shapes, members, factors, seed):
    g = torch.Generator().manual_seed(seed)
    params = [torch.randn(len(members), *shape, generator=g).requires_grad_() for shape in shapes]
    lr, decay = torch.tensor(members).unbind(1)
    ours = StackedAdam(params, weight_decay=decay)
    copies = [
        [p[m].detach().clone().requires_grad_() for p in params] for m in range(len(members))
    ]
    theirs = [
        torch.optim.Adam(copy, lr=lr_m, weight_decay=decay_m)
        for copy, (lr_m, decay_m) in zip(copies, members, strict=True)
    ]
    for factor in factors:
        for i, p in enumerate(params):
            p.grad = torch.randn(p.shape, generator=g)
            for m, copy in enumerate(copies):
                copy[i].grad = p.grad[m].clone()
        step(ours, lr * factor)
        for adam, (lr_m, _) in zip(theirs, members, strict=True):
            adam.param_groups[0]["lr"] = lr_m * factor
            adam.step()
        for i, p in enumerate(params):
            expected = torch.stack([copy[i] for copy in copies])
            torch.testing.assert_close(p, expected, rtol=1e-5, atol=1e-6)
    assert ours.num_steps == len(factors)


def test_a_step_forgets_the_gradients():
    p = torch.ones(2, 3, requires_grad=True)
    p.sum().backward()
    adam = StackedAdam([p], weight_decay=torch.zeros(2))
    adam.step(torch.tensor([0.1, 0.0]))
    assert p.grad is None
    torch.testing.assert_close(p.detach(), torch.tensor([[0.9] * 3, [1.0] * 3]))


@pytest.mark.parametrize("decays", [(0.0, 0.5), (0.5, 0.0)])
def test_weight_decay_moves_only_its_member(decays):
    p = torch.ones(2, 3, requires_grad=True)
    p.grad = torch.zeros_like(p)
    adam = StackedAdam([p], weight_decay=torch.tensor(decays))
    adam.step(torch.full((2,), 0.1))
    moved = [bool((row != 1).all()) for row in p.detach()]
    assert moved == [decay > 0 for decay in decays]


def test_what_has_no_gradient_is_left_alone_even_by_weight_decay():
    frozen, learning = torch.ones(2, 3), torch.ones(2, 3, requires_grad=True)
    adam = StackedAdam([frozen, learning], weight_decay=torch.tensor([0.1, 0.5]))
    adam.step(torch.ones(2))
    assert learning.eq(1).all()
    learning.grad = torch.ones(2, 3)
    adam.step(torch.ones(2))
    assert frozen.eq(1).all()
    assert not learning.eq(1).any()
    assert not adam.exp_avg[0].any()
    assert not adam.exp_avg_sq[0].any()


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_a_members_adam_is_torchs_to_the_last_bit(decay):
    g = torch.Generator().manual_seed(0)
    layouts = (torch.contiguous_format, torch.channels_last)
    ours = [
        torch.randn(3, 4, 2, 2, generator=g).to(memory_format=layout).requires_grad_()
        for layout in layouts
    ]
    frozen = torch.ones(2)
    theirs = [p.detach().clone().requires_grad_() for p in ours]
    adam = MemberAdam([frozen, *ours], weight_decay=decay)
    torchs = torch.optim.Adam(theirs, weight_decay=decay, fused=True)
    for lr in (0.1, 0.01, 0.3):
        for mine, other in zip(ours, theirs, strict=True):
            factor = torch.randn(mine.shape, generator=g)
            for p in (mine, other):
                (p * factor).square().sum().backward()
        adam.step(lr)
        torchs.param_groups[0]["lr"] = lr
        torchs.step()
        torchs.zero_grad()
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.grad is None
        assert torch.equal(mine, other)
    assert frozen.eq(1).all()
    assert int(adam.num_steps) == 3
