"""The training loop: a stack's passes over its training rows, and the metrics of each."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Union

import numpy as np

from trainables.stack.averages import Averages, EpochMetrics, require_finite
from trainables.stack.scoring import LOSS
from trainables.stack.stack import FoldStack

if TYPE_CHECKING:
    from trainables.stack.estimators import EstimatorStack

Stack = Union[FoldStack, "EstimatorStack"]


@dataclass(frozen=True, kw_only=True)
class Pass:
    """One epoch of networks, or all units of an estimator up to the next report."""

    epoch: int
    """Number of epochs, or units, completed after the pass."""
    train: Averages
    """Averages over the batches while they were trained on; empty for estimators, which are
    measured afterwards."""
    seconds: float
    """Time spent training."""


def passes(stack: Stack, until: int, *, finite: bool = False) -> Iterator[Pass]:
    """Train a stack to an epoch, or to a number of units; yield each pass.

    Args:
        stack: Networks or estimators.
        until: Epoch, or number of units, to stop after.
        finite: Whether a training loss that is infinite or NaN is an error.

    Raises:
        UserError: If a training loss is infinite or NaN and `finite` is set.
    """
    while stack.epoch < until:
        start = time.perf_counter()
        train: Averages = {}
        if isinstance(stack, FoldStack):
            train = stack.train()
        else:
            stack.advance(until)
        seconds = time.perf_counter() - start
        if finite and train:
            require_finite(train[LOSS], stack.epoch)
        yield Pass(epoch=stack.epoch, train=train, seconds=seconds)


def measured(stack: Stack, done: Pass) -> EpochMetrics:
    """Metrics of a pass, on training and on held-out rows."""
    if isinstance(stack, FoldStack):
        return stack.measured(done.train)
    held, trained = stack.measure()
    return EpochMetrics(
        epoch=done.epoch,
        train={name: np.asarray(values, dtype=float) for name, values in trained.items()},
        held_out={name: np.asarray(values, dtype=float) for name, values in held.items()},
    )


def predictions(stack: Stack) -> list[dict[str, np.ndarray]]:
    """Each member's predictions on its held-out rows."""
    return stack.predict() if isinstance(stack, FoldStack) else stack.predictions()
