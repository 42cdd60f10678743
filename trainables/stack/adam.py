"""Adam over stacked parameters with a learning rate and weight decay for each member."""

from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim.adam import adam

BETA1, BETA2, EPS = 0.9, 0.999, 1e-8


class StackedAdam:
    """The update of `torch.optim.Adam`, applied to tensors whose first axis is the member.

    Weight decay is the L2 penalty added to the gradient, as in `torch.optim.Adam`. The class
    exists because torch's optimisers take one learning rate per tensor, not one per member.

    References:
        Kingma and Ba (2015), "Adam: A method for stochastic optimization", algorithm 1.
    """

    def __init__(self, params: Sequence[Tensor], *, weight_decay: Float[Tensor, " m"]):
        self.params = list(params)
        self.weight_decay = weight_decay
        self.decays = bool((weight_decay > 0).any())
        self._widths = [p[0].numel() for p in self.params]
        # one tensor per moment for all parameters, so that `update` needs no loop over them
        shape = len(weight_decay), sum(self._widths)
        self._moments = [self.params[0].new_zeros(shape) for _ in range(2)]
        self.exp_avg, self.exp_avg_sq = map(self._parts, self._moments)
        self.num_steps = 0
        kinds = (self.params, self.exp_avg, self.exp_avg_sq)
        self.rows = [[t.detach().unbind() for t in kind] for kind in kinds]

    def step(self, lr: Float[Tensor, " m"]) -> None:
        """Update every parameter that has a gradient, then forget the gradients."""
        if lr.device.type == "cpu":
            self._update_members(lr)
        else:
            self.update(*self.advance(lr))

    def advance(self, lr: Float[Tensor, " m"]) -> tuple[Float[Tensor, " m"], float]:
        """Count a step and return the arguments of `update` for it.

        Everything that depends on the number of the step is computed here, so that a CUDA graph
        can capture the rest.
        """
        self.num_steps += 1
        return lr / (1 - BETA1**self.num_steps), (1 - BETA2**self.num_steps) ** 0.5

    @torch.no_grad()
    def update(self, size: Float[Tensor, " m"], correction: float | Float[Tensor, ""]) -> None:
        """Update every parameter that has a gradient, then forget the gradients.

        Args:
            size: Learning rate of each member, divided by the bias correction of the first moment.
            correction: Square root of the bias correction of the second moment.
        """
        learning = [p.grad is not None for p in self.params]
        if not any(learning):
            return
        grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in self.params]
        grad, (exp_avg, exp_avg_sq) = _side_by_side(grads), self._moments
        if self.decays:
            kinds = zip(self.params, grads, learning, strict=True)
            held = [p if learns else nothing for p, nothing, learns in kinds]
            grad.add_(_side_by_side(held) * self.weight_decay[:, None])
        exp_avg.lerp_(grad, 1 - BETA1)
        exp_avg_sq.mul_(BETA2).addcmul_(grad, grad, value=1 - BETA2)
        change = exp_avg / exp_avg_sq.sqrt().div_(correction).add_(EPS)
        change.mul_(size[:, None])
        for p, part, learns in zip(self.params, self._parts(change), learning, strict=True):
            if learns:
                p.sub_(part)
            p.grad = None

    @torch.no_grad()
    def _update_members(self, lr: Float[Tensor, " m"]) -> None:
        """Update one member after another with torch's fused Adam kernel.

        For CPUs, where memory traffic dominates Adam's step on a small network: the kernel passes
        over memory once, `update` ten times. On a GPU it would be one launch per member.
        """
        before = torch.tensor(float(self.num_steps))
        self.num_steps += 1
        learning = [i for i, p in enumerate(self.params) if p.grad is not None]
        if not learning:
            return
        gradients = [p.grad.unbind() for p in self.params if p.grad is not None]
        rates = zip(lr.tolist(), self.weight_decay.tolist(), strict=True)
        for m, (rate, decay) in enumerate(rates):
            params, exp_avg, exp_avg_sq = ([kind[i][m] for i in learning] for kind in self.rows)
            gradient = [g[m] for g in gradients]
            _update(params, gradient, exp_avg, exp_avg_sq, before, lr=rate, weight_decay=decay)
        for i in learning:
            self.params[i].grad = None

    def _parts(self, side_by_side: Float[Tensor, "m n"]) -> list[Tensor]:
        """Split a result of `_side_by_side` into views, each in the shape of its parameter."""
        parts = side_by_side.split(self._widths, dim=1)
        return [part.view_as(p) for part, p in zip(parts, self.params, strict=True)]


class MemberAdam:
    """The update of `torch.optim.Adam` for one network, without that class's overhead per step."""

    def __init__(self, params: Iterable[Tensor], *, weight_decay: float):
        self.params = list(params)
        self.weight_decay = weight_decay
        self.exp_avg = [torch.zeros_like(p) for p in self.params]
        self.exp_avg_sq = [torch.zeros_like(p) for p in self.params]
        self.num_steps = torch.zeros((), device=self.params[0].device)

    @torch.no_grad()
    def step(self, lr: float) -> None:
        """Update every parameter that has a gradient, then forget the gradients."""
        before = self.num_steps.clone()
        self.num_steps += 1
        kinds = zip(self.params, self.exp_avg, self.exp_avg_sq, strict=True)
        learning = [(p, p.grad, m, v) for p, m, v in kinds if p.grad is not None]
        if not learning:
            return
        params, grads, exp_avg, exp_avg_sq = map(list, zip(*learning, strict=True))
        decay = self.weight_decay
        _update(params, grads, exp_avg, exp_avg_sq, before, lr=lr, weight_decay=decay)
        for p in params:
            p.grad = None


def _update(
    params: list[Tensor],
    grads: list[Tensor],
    exp_avg: list[Tensor],
    exp_avg_sq: list[Tensor],
    before: Float[Tensor, ""],
    *,
    lr: float,
    weight_decay: float,
) -> None:
    """Take one step with torch's fused kernel, in place.

    Assumes that each gradient has the memory layout of its parameter, as autograd's have. `before`
    is the number of steps taken before this one.
    """
    adam(
        params,
        grads,
        exp_avg,
        exp_avg_sq,
        [],
        list(before.repeat(len(params)).unbind()),  # the kernel increments each
        fused=True,
        lr=lr,
        beta1=BETA1,
        beta2=BETA2,
        weight_decay=weight_decay,
        eps=EPS,
        amsgrad=False,
        maximize=False,
    )


def _side_by_side(tensors: Iterable[Tensor]) -> Float[Tensor, "m n"]:
    return torch.cat([t.flatten(1) if t.ndim > 1 else t[:, None] for t in tensors], dim=1)
