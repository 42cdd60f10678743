"""Layers with parameters.

Legend of shapes: m member axes (zero or more), n rows, f, in and out features.
"""

import torch
from torch import Tensor

from trainables.backprop.initialise import initial_values
from trainables.backprop.module import Module


class Linear(Module):
    """Fully connected layer, y = x W^T + b.

    With g the gradient at y: dW = g^T x, db = sum_n g, dx = g W.

    Args:
        num_inputs: Number of input features.
        num_outputs: Number of output features.
        init: Initialisation of W and b, see `initialise.initial_values`.
    """

    def __init__(self, num_inputs: int, num_outputs: int, init: str = "random"):
        weight, bias = initial_values(init, num_inputs, num_outputs)
        super().__init__(
            settings=(str(num_inputs), str(num_outputs)),
            parameters={"weight": weight, "bias": bias},
            weights=("weight",),
        )

    def _forward(self, x: Tensor) -> Tensor:
        weight, bias = self._parameters["weight"], self._parameters["bias"].unsqueeze(-2)
        if x.dim() != weight.dim():  # all members share the rows
            x = x.expand(*weight.shape[:-2], *x.shape[-2:])
        self._x = x
        if weight.dim() == 3:
            return torch.baddbmm(bias, x, weight.mT)
        return (x @ weight.mT).add_(bias)

    def _backward(self, grad: Tensor) -> Tensor:
        torch.sum(grad, -2, out=self._gradients["bias"])
        self._gradients["weight"].copy_(_product(grad.mT, self._x))
        return _product(grad, self._parameters["weight"])


def _product(a: Tensor, b: Tensor) -> Tensor:
    return torch.bmm(a, b) if a.dim() == 3 else a @ b  # one member axis: half the time of @


class BatchNorm(Module):
    """Batch normalisation: normalise each feature over the rows, then scale and shift it.

    With the mean mu and the biased variance v of a batch, r = 1 / sqrt(v + eps),
    x_hat = (x - mu) r, y = gamma x_hat + beta. With g the gradient at y:
    dgamma = sum_n g x_hat, dbeta = sum_n g and
    dx = gamma r / n (n g - dbeta - x_hat dgamma).

    In evaluation mode mu and v are running averages of the batches' means and unbiased variances.
    They are constants for the gradient, so dx = gamma r g. The statistics of a batch include its
    padding rows, which have weight 0 in the loss.

    Args:
        dim: Number of features.
        momentum: Weight of the last batch in the running averages.
        eps: Constant that is added to the variance.
        learn: Whether gamma and beta are trained; otherwise they are 1 and 0 and not parameters.

    References:
        Ioffe and Szegedy (2015), "Batch normalization", ICML, algorithms 1 and 2.
    """

    def __init__(self, dim: int, momentum: float = 0.1, eps: float = 1e-5, learn: bool = True):
        super().__init__(
            settings=(str(dim), f"momentum={momentum}", f"eps={eps}", f"learn={learn}"),
            parameters={"gamma": torch.ones(dim), "beta": torch.zeros(dim)} if learn else {},
            buffers={"running_mean": torch.zeros(dim), "running_var": torch.ones(dim)},
        )
        self.momentum = momentum
        self.eps = eps
        self.learn = learn

    def _forward(self, x: Tensor) -> Tensor:
        if self.training:
            var, mean = torch.var_mean(x, dim=-2, correction=0, keepdim=True)
            self._remember(mean, var, num_rows=x.shape[-2])
        else:
            mean = self._buffers["running_mean"].unsqueeze(-2)
            var = self._buffers["running_var"].unsqueeze(-2)
        self._scale = (var + self.eps).rsqrt_()
        self._normed = (x - mean).mul_(self._scale)
        self._by_batch = self.training
        if not self.learn:
            return self._normed.clone()
        gamma, beta = (self._parameters[name].unsqueeze(-2) for name in ("gamma", "beta"))
        self._scale = self._scale * gamma
        return torch.addcmul(beta, self._normed, gamma)

    def _backward(self, grad: Tensor) -> Tensor:
        by_gamma = (grad * self._normed).sum(-2, keepdim=True)
        by_beta = grad.sum(-2, keepdim=True)
        if self.learn:
            self._gradients["gamma"].copy_(by_gamma.squeeze(-2))
            self._gradients["beta"].copy_(by_beta.squeeze(-2))
        if not self._by_batch:
            return grad * self._scale
        n = grad.shape[-2]
        centred = grad.sub(by_beta, alpha=1 / n).addcmul_(self._normed, by_gamma, value=-1 / n)
        return centred.mul_(self._scale)

    def _remember(self, mean: Tensor, var: Tensor, *, num_rows: int) -> None:
        """Update the running averages with the statistics of a batch.

        Raises:
            ValueError: If the batch has fewer than 2 rows, and so no unbiased variance.
        """
        if num_rows < 2:
            raise ValueError(f"batch-norm needs at least 2 rows to train on, but got {num_rows}")
        unbiased = var.squeeze(-2) * (num_rows / (num_rows - 1))
        self._buffers["running_mean"].lerp_(mean.squeeze(-2), self.momentum)
        self._buffers["running_var"].lerp_(unbiased, self.momentum)
