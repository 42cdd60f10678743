"""Loss functions of class scores, computed for each member separately.

Legend of shapes: m member axes (zero or more), n rows, c classes.
"""

import abc
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from trainables.backprop.names import chosen

CriterionName = Literal["cross_entropy", "mse"]


class AbstractCriterion(abc.ABC):
    """Base class of losses: the weighted mean over rows of a loss per row."""

    @torch.no_grad()
    def forward(
        self,
        scores: Float[Tensor, "*m n c"],
        target: Int[Tensor, "*m n"],
        weight: Float[Tensor, "*m n"] | None = None,
    ) -> Float[Tensor, "*m"]:
        """Compute the loss of each member; store the values that `backward` needs.

        Args:
            scores: Class scores, the output of the network.
            target: Class of each row.
            weight: Weight of each row, 0 for padding rows; None for equal weights.
        """
        self._index = target.unsqueeze(-1)
        rows = self._rows(scores)
        if weight is None:
            self._shares = None
            return rows.mean(-1)
        self._shares = weight / weight.sum(-1, keepdim=True)
        return (rows * self._shares).sum(-1)

    @torch.no_grad()
    def backward(self) -> Float[Tensor, "*m n c"]:
        """Return the gradient of the last loss with respect to its scores."""
        slopes = self._slopes()
        if self._shares is None:
            return slopes.div_(slopes.shape[-2])
        return slopes.mul_(self._shares.unsqueeze(-1))

    @abc.abstractmethod
    def _rows(self, scores: Tensor) -> Tensor:
        """Compute the loss of each row."""

    @abc.abstractmethod
    def _slopes(self) -> Tensor:
        """Compute the gradient of each row's loss, in a new tensor."""

    def _less_one_hot(self, values: Tensor) -> Tensor:
        """Subtract 1 at the target classes, in place."""
        return values.scatter_add_(
            -1, self._index, values.new_full((1,), -1).expand_as(self._index)
        )


class MSE(AbstractCriterion):
    """Mean over rows and classes of (y - t)^2; t is 1 for the target class, else 0."""

    def _rows(self, scores: Tensor) -> Tensor:
        self._errors = self._less_one_hot(scores.clone())
        return self._errors.square().mean(-1)

    def _slopes(self) -> Tensor:
        return self._errors * (2 / self._errors.shape[-1])


class CrossEntropy(AbstractCriterion):
    """Mean over rows of -log softmax(y) at the target class; y are scores without a softmax."""

    def _rows(self, scores: Tensor) -> Tensor:
        self._log_p = torch.log_softmax(scores, -1)
        return -self._log_p.gather(-1, self._index).squeeze(-1)

    def _slopes(self) -> Tensor:
        return self._less_one_hot(self._log_p.exp())


CRITERIA: dict[str, Callable[[], AbstractCriterion]] = {
    "cross_entropy": CrossEntropy,
    "mse": MSE,
}


def make_criterion(name: str) -> AbstractCriterion:
    """Make a loss by name, one of `CriterionName`.

    Raises:
        UserError: If there is no such loss.
    """
    return chosen(CRITERIA, name, what="criterion")()


@torch.no_grad()
def l2_penalty(
    weights: Sequence[Float[Tensor, "*m _ _"]], weight_decay: float | Float[Tensor, "*m"]
) -> Float[Tensor, "*m"]:
    """L2 penalty of each member: weight_decay sum w^2 over all weights, without a factor of 1/2.

    `Module.step` adds its gradient, 2 weight_decay w.
    """
    total = torch.zeros(())
    for weight in weights:
        total = total + weight.square().sum((-2, -1))
    return weight_decay * total
