"""Stacks are repeatable to the last bit, also on a GPU."""

import pytest
import torch
from torch import nn

from search_spaces.loading import load_space
from tests.trainables.same import assert_identical
from trainables.data.digits import digits_source
from trainables.data.folds import stratified_folds
from trainables.data.pairs import draw_pairs
from trainables.models.pairs.scores import PairConfig, Scores
from trainables.stack.stack import Member
from trainables.tasks.larger_digit import TASK
from trainables.tasks.task import Variant
from trainables.trial import make_stack as stack_of

SEEN: set[tuple[str, bool]] = set()


class _Looks(torch.autograd.Function):
    """Identity that records whether cuDNN must be deterministic, forward and backward."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        SEEN.add(("forward", torch.backends.cudnn.deterministic))
        return x.clone()

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, gradient):
        SEEN.add(("backward", torch.backends.cudnn.deterministic))
        return gradient


class _Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.scores = nn.Linear(2 * 14 * 14, 2)

    def forward(self, images):
        return Scores(_Looks.apply(self.scores(images.flatten(1))))


LOOKS = Variant(
    name="looks", task=TASK, model=lambda config, shapes=None: _Network(), config=PairConfig
)


@pytest.mark.parametrize("mode", ["fused", "looped"])
@pytest.mark.parametrize("before", [False, True])
def test_only_stacks_are_asked_to_repeat_themselves(mode, before, make_stack, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", before)
    stack = make_stack(LOOKS, [PairConfig(batch_size=9)] * 2, mode=mode)
    SEEN.clear()
    stack.train_epoch()
    assert SEEN == {("forward", True), ("backward", True)}
    SEEN.clear()
    stack.predict()
    assert SEEN == {("forward", True)}
    assert torch.backends.cudnn.deterministic is before


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("mode", ["fused", "graphed", "looped"])
@pytest.mark.parametrize(("name", "draw"), [("cnn_ws_aux", 7), ("cnn_aux", 3)])
def test_convolutions_repeat_themselves_on_a_gpu(name, draw, mode):
    """On an H100, some default kernels for these configurations are not repeatable."""
    space = load_space(name)
    config = space.complete(space.draw(draw), epochs=3)
    data = draw_pairs(digits_source(), seed=0)
    folds = stratified_folds(data.train.targets["target"], num_folds=5, seed=0)
    members = [
        Member(config=config, train=fold.train, held_out=fold.val, seed=i)
        for i, fold in enumerate(folds)
    ]
    one, other = (
        stack_of(space.variant, members, data, device="cuda", mode=mode) for _ in range(2)
    )
    for _ in range(2):
        assert_identical(vars(one.train_epoch()), vars(other.train_epoch()))
    assert_identical(one.state_dict(), other.state_dict())
