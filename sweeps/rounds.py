"""Rounds: a configuration trained anew on all training pairs, measured on test pairs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from trainables.config import TrialConfig
from trainables.data.pairs import PairData, Pairs
from trainables.errors import UserError
from trainables.seeds import Stream, derive_seed
from trainables.stack.stack import FoldStack, Member, Mode
from trainables.variants import Variant


@dataclass(frozen=True, kw_only=True)
class RoundScores:
    """What each round came to on its test pairs, and in its last epoch of training."""

    test_accuracy: Float[np.ndarray, " rounds"]
    test_loss: Float[np.ndarray, " rounds"]
    test_digit_accuracy: Float[np.ndarray, " rounds"]
    train_accuracy: Float[np.ndarray, " rounds"]
    train_loss: Float[np.ndarray, " rounds"]


def run_rounds(
    variant: Variant,
    config: TrialConfig,
    data: Sequence[PairData],
    *,
    seed: int,
    mode: Mode = "auto",
    after_epoch: Callable[[int], None] = lambda epoch: None,
) -> RoundScores:
    """Train one member for each of `data` on all its training pairs, in lockstep.

    Every round has an initialisation of its own. Test pairs are looked at once, at the end.

    Raises:
        UserError: If a loss becomes infinite or NaN.
    """
    members, pairs = _members(config, data, seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    stack = FoldStack(variant.model, members, pairs, device=device, mode=mode)
    for epoch in range(config.epochs):
        train_loss, train_accuracy = stack.train()
        if not np.isfinite(train_loss).all():
            raise UserError(
                f"a loss became infinite or NaN in epoch {epoch + 1}; nothing to report"
            )
        after_epoch(epoch + 1)
    test_loss, test_accuracy, test_digit_accuracy = stack.evaluate()
    return RoundScores(
        test_accuracy=test_accuracy,
        test_loss=test_loss,
        test_digit_accuracy=test_digit_accuracy,
        train_accuracy=train_accuracy,
        train_loss=train_loss,
    )


def _members(
    config: TrialConfig, data: Sequence[PairData], seed: int
) -> tuple[list[Member], Pairs]:
    """A member for each round; rounds with the same pairs share them."""
    parts: list[Pairs] = []
    starts: dict[str, int] = {}
    size = 0
    for d in data:
        if d.digest not in starts:
            starts[d.digest] = size
            parts += [d.train, d.test]
            size += len(d.train) + len(d.test)
    members = []
    for i, d in enumerate(data):
        start, middle = starts[d.digest], starts[d.digest] + len(d.train)
        members.append(
            Member(
                config=config,
                train=np.arange(start, middle),
                held_out=np.arange(middle, middle + len(d.test)),
                seed=derive_seed(seed, Stream.ROUND, i),
            )
        )
    pairs = Pairs(
        images=np.concatenate([p.images for p in parts]),
        classes=np.concatenate([p.classes for p in parts]),
        target=np.concatenate([p.target for p in parts]),
    )
    return members, pairs
