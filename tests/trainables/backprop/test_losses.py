import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from tests.refusals import refused
from tests.trainables.backprop.reference import assert_close, member_axes, randn, seeds
from trainables.backprop.losses import CRITERIA, MSE, CrossEntropy, l2_penalty, make_criterion

shapes = {"members": member_axes, "n": st.integers(1, 5), "c": st.integers(1, 4)}


def torchs_rows(name, scores, target):
    """Loss of each row, computed by PyTorch's functions."""
    if name == "mse":
        one_hot = F.one_hot(target, scores.shape[-1]).to(scores)
        return F.mse_loss(scores, one_hot, reduction="none").mean(-1)
    flat = F.cross_entropy(scores.flatten(0, -2), target.flatten(), reduction="none")
    return flat.view(target.shape)


@pytest.mark.parametrize("name", CRITERIA)
@pytest.mark.parametrize("weighted", [True, False])
@given(**shapes, seed=seeds)
def test_losses_and_their_gradients_are_torchs(name, weighted, members, n, c, seed):
    torch.manual_seed(seed)
    scores, target = 3 * randn(*members, n, c), torch.randint(c, (*members, n))
    weight = torch.rand(*members, n, dtype=torch.float64) + 0.1 if weighted else None
    criterion = make_criterion(name)
    leaf = scores.clone().requires_grad_()
    rows = torchs_rows(name, leaf, target)
    shares = torch.ones_like(rows) if weight is None else weight
    expected = (rows * shares).sum(-1) / shares.sum(-1)
    expected.sum().backward()
    assert_close(criterion.forward(scores, target, weight), expected)
    for _ in range(2):  # `backward` may be called again
        assert_close(criterion.backward(), leaf.grad)


@given(n=st.integers(1, 5), c=st.integers(1, 4), seed=seeds)
def test_losses_of_one_member_are_torchs_means(n, c, seed):
    torch.manual_seed(seed)
    scores, target = randn(n, c), torch.randint(c, (n,))
    one_hot = F.one_hot(target, c).double()
    assert_close(CrossEntropy().forward(scores, target), F.cross_entropy(scores, target))
    assert_close(MSE().forward(scores, target), F.mse_loss(scores, one_hot))


@pytest.mark.parametrize("name", CRITERIA)
def test_rows_of_weight_0_only_fill_a_batch_up(name):
    torch.manual_seed(0)
    scores, target = randn(2, 5, 3), torch.randint(3, (2, 5))
    weight = torch.tensor([[1.0] * 3 + [0.0] * 2] * 2, dtype=torch.float64)
    criterion = make_criterion(name)
    filled, filled_grad = criterion.forward(scores, target, weight), criterion.backward()
    alone = criterion.forward(scores[:, :3], target[:, :3])
    assert_close(filled, alone)
    assert_close(filled_grad[:, :3], criterion.backward())
    assert not filled_grad[:, 3:].any()


@given(members=member_axes, seed=seeds, per_member=st.booleans())
def test_the_l2_penalty_has_no_half_and_a_gradient_of_2_lambda_w(members, seed, per_member):
    torch.manual_seed(seed)
    weights = [randn(*members, 3, 2).requires_grad_(), randn(*members, 2, 3).requires_grad_()]
    decay = torch.rand(members, dtype=torch.float64) if per_member else 0.3
    expected = decay * sum((w**2).sum((-2, -1)) for w in weights)
    expected.sum().backward()
    assert_close(l2_penalty(weights, decay), expected)
    factor = decay[..., None, None] if per_member else decay
    for w in weights:
        assert_close(2 * factor * w.detach(), w.grad)


def test_an_unknown_criterion_is_refused_with_the_known_ones():
    known = "cross_entropy or mse"
    with refused("backprop-names.unknown", what="criterion", known=known, name="hinge"):
        make_criterion("hinge")
