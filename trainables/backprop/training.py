"""Training of a network over all epochs, with or without a history.

Legend of shapes: m member axes (zero or more), d the same or none, n rows, f features.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from trainables.backprop.losses import AbstractCriterion, l2_penalty, make_criterion
from trainables.backprop.optimisers import make_optimiser
from trainables.backprop.schedules import scheduled_lr
from trainables.backprop.sequential import Sequential
from trainables.data.batches import batches

Scored = tuple[Float[Tensor, "*m"], Float[Tensor, "*m"]]
"""Loss and accuracy of each member."""


@dataclass(frozen=True, kw_only=True)
class History:
    """Losses and accuracies after each epoch, in evaluation mode; None if not requested."""

    train_loss: Float[Tensor, "epochs ..."] | None
    """Loss that training minimises: the criterion plus the L2 penalty."""
    train_accuracy: Float[Tensor, "epochs ..."] | None
    test_loss: Float[Tensor, "epochs ..."] | None
    """The criterion alone."""
    test_accuracy: Float[Tensor, "epochs ..."] | None


@torch.no_grad()
def train(
    network: Sequential,
    train_inputs: Float[Tensor, "*d n f"],
    train_targets: Int[Tensor, "*d n"],
    test_inputs: Float[Tensor, "*e k f"],
    test_targets: Int[Tensor, "*e k"],
    *,
    epochs: int,
    lr: float | Float[Tensor, "*m"],
    schedule: str = "constant",
    lr_decay: float = 0.0,
    weight_decay: float | Float[Tensor, "*m"] = 0.0,
    criterion: str = "cross_entropy",
    batch_size: int = 100,
    optimiser: str = "sgd",
    train_history: bool = False,
    test_history: bool = False,
    generator: torch.Generator | None = None,
) -> History:
    """Train all members of a network together; the network is left in evaluation mode.

    Rows are shuffled in every epoch, in the same order for all members. A last batch of a single
    row is joined to the batch before it, because batch-norm cannot compute statistics of a single
    row.

    Args:
        network: Network to train, changed in place.
        train_inputs: Training rows of each member, or rows that all members share.
        train_targets: Classes of the training rows.
        test_inputs: Test rows, used for the history only.
        test_targets: Classes of the test rows.
        epochs: Number of passes over the training rows.
        lr: Learning rate of the first epoch, one number or one per member.
        schedule: Learning-rate schedule, one of `schedules.Schedule`.
        lr_decay: Decay rate of the schedule.
        weight_decay: Factor of the L2 penalty, one number or one per member.
        criterion: Loss, one of `losses.CriterionName`.
        batch_size: Number of rows per step.
        optimiser: One of `optimisers.OptimiserName`; its state starts empty.
        train_history: Whether the training rows are evaluated after each epoch.
        test_history: Whether the test rows are evaluated after each epoch.
        generator: Random generator of the shuffles, on its own device; None for PyTorch's global
            generator.

    Raises:
        UserError: If there is no schedule, criterion or optimiser of that name.
        ValueError: If `epochs` or `batch_size` is below 1.
    """
    if epochs < 1 or batch_size < 1:
        raise ValueError(f"epochs and batch_size must be at least 1: {epochs=}, {batch_size=}")
    loss, descent = make_criterion(criterion), make_optimiser(optimiser)
    train_curve: list[Scored] = []
    test_curve: list[Scored] = []
    for epoch in range(epochs):
        rate = scheduled_lr(schedule, lr, lr_decay, epoch)
        network.train()
        order = _order(train_inputs, generator)
        inputs, targets = train_inputs[..., order, :], train_targets[..., order]
        for batch in batches(len(order), batch_size):
            scores = network.forward(inputs[..., batch, :])
            loss.forward(scores, targets[..., batch].expand(scores.shape[:-1]))
            network.backward(loss.backward())
            network.step(descent, rate, weight_decay)
        network.eval()
        if train_history:
            value, accuracy = _scored(network, loss, train_inputs, train_targets)
            train_curve.append((value + l2_penalty(network.weights(), weight_decay), accuracy))
        if test_history:
            test_curve.append(_scored(network, loss, test_inputs, test_targets))
    train_loss, train_accuracy = _joined(train_curve)
    test_loss, test_accuracy = _joined(test_curve)
    return History(
        train_loss=train_loss,
        train_accuracy=train_accuracy,
        test_loss=test_loss,
        test_accuracy=test_accuracy,
    )


def _order(inputs: Tensor, generator: torch.Generator | None) -> Int[Tensor, " n"]:
    device = inputs.device if generator is None else generator.device
    return torch.randperm(inputs.shape[-2], generator=generator, device=device).to(inputs.device)


def _scored(
    network: Sequential, criterion: AbstractCriterion, inputs: Tensor, targets: Tensor
) -> Scored:
    scores = network.forward(inputs)
    loss = criterion.forward(scores, targets.expand(scores.shape[:-1]))
    return loss, (scores.argmax(-1) == targets).to(scores.dtype).mean(-1)


def _joined(curve: Sequence[Scored]) -> tuple[Tensor, Tensor] | tuple[None, None]:
    if not curve:
        return None, None
    losses, accuracies = zip(*curve, strict=True)
    return torch.stack(losses), torch.stack(accuracies)
