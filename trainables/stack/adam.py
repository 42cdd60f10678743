"""Adam over stacked parameters with a learning rate and weight decay for each member."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

BETA1, BETA2, EPS = 0.9, 0.999, 1e-8


class StackedAdam:
    """The update of `torch.optim.Adam`, applied to tensors whose first axis is the member.

    Weight decay is the L2 penalty added to the gradient, as in `torch.optim.Adam`. The optimisers
    of torch take one learning rate for a whole tensor, which is why this one exists.

    References:
        Kingma and Ba (2015), "Adam: A method for stochastic optimization", algorithm 1.
    """

    def __init__(self, params: Sequence[Tensor], *, weight_decay: Float[Tensor, " m"]):
        self.params = list(params)
        self.weight_decay = weight_decay
        self.decays = bool((weight_decay > 0).any())
        self.exp_avg = [torch.zeros_like(p) for p in self.params]
        self.exp_avg_sq = [torch.zeros_like(p) for p in self.params]
        self.num_steps = 0

    @torch.no_grad()
    def step(self, lr: Float[Tensor, " m"]) -> None:
        """Update every parameter from its gradient, then forget the gradients."""
        self.num_steps += 1
        grads = [p.grad if p.grad is not None else torch.zeros_like(p) for p in self.params]
        if self.decays:
            penalty = torch._foreach_mul(self.params, self._like_params(self.weight_decay))
            torch._foreach_add_(grads, penalty)
        torch._foreach_lerp_(self.exp_avg, grads, 1 - BETA1)
        torch._foreach_mul_(self.exp_avg_sq, BETA2)
        torch._foreach_addcmul_(self.exp_avg_sq, grads, grads, 1 - BETA2)
        root = torch._foreach_sqrt(self.exp_avg_sq)
        torch._foreach_div_(root, (1 - BETA2**self.num_steps) ** 0.5)
        torch._foreach_add_(root, EPS)
        update = torch._foreach_div(self.exp_avg, root)
        torch._foreach_mul_(update, self._like_params(lr / (1 - BETA1**self.num_steps)))
        torch._foreach_sub_(self.params, update)
        for p in self.params:
            p.grad = None

    def _like_params(self, values: Float[Tensor, " m"]) -> list[Tensor]:
        return [values.view(-1, *(1 for _ in p.shape[1:])) for p in self.params]
