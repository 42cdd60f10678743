"""Activations y of x, with their gradients; g is the gradient at the output y."""

from collections.abc import Callable

from torch import Tensor

from trainables.backprop.module import Module


class ReLU(Module):
    """max(0, x), with dx = g [x > 0]."""

    def _forward(self, x: Tensor) -> Tensor:
        self._y = x.clamp(min=0)
        return self._y

    def _backward(self, grad: Tensor) -> Tensor:
        return grad * self._y.sign()  # y >= 0; several times faster than a mask


class LeakyReLU(Module):
    """x if x > 0, else slope x, with dx = g if x > 0, else slope g.

    Raises:
        ValueError: If the slope is not between 0 and 1.
    """

    def __init__(self, slope: float = 0.01):
        if not 0.0 <= slope <= 1.0:
            raise ValueError(f"slope must be between 0 and 1, but is {slope!r}")
        super().__init__(settings=(f"slope={slope}",))
        self.slope = slope

    def _forward(self, x: Tensor) -> Tensor:
        self._factor = x.sign().clamp_(min=self.slope)
        return x * self._factor

    def _backward(self, grad: Tensor) -> Tensor:
        return grad * self._factor


class Tanh(Module):
    """Hyperbolic tangent, with dx = g (1 - y^2)."""

    def _forward(self, x: Tensor) -> Tensor:
        self._y = x.tanh()
        return self._y

    def _backward(self, grad: Tensor) -> Tensor:
        return grad.addcmul(grad * self._y, self._y, value=-1)


class Sigmoid(Module):
    """1 / (1 + exp(-x)), with dx = g y (1 - y)."""

    def _forward(self, x: Tensor) -> Tensor:
        self._y = x.sigmoid()
        return self._y

    def _backward(self, grad: Tensor) -> Tensor:
        scaled = grad * self._y
        return scaled.addcmul(scaled, self._y, value=-1)


class Softmax(Module):
    """exp(x_i) / sum_j exp(x_j) over the features, with dx = y (g - sum_j g_j y_j)."""

    def _forward(self, x: Tensor) -> Tensor:
        powers = (x - x.amax(-1, keepdim=True)).exp_()
        self._y = powers.div_(powers.sum(-1, keepdim=True))
        return self._y

    def _backward(self, grad: Tensor) -> Tensor:
        scaled = grad * self._y
        return scaled.addcmul(self._y, scaled.sum(-1, keepdim=True), value=-1)


ACTIVATIONS: dict[str, Callable[[], Module]] = {
    "relu": ReLU,
    "leaky_relu": LeakyReLU,
    "tanh": Tanh,
    "sigmoid": Sigmoid,
    "softmax": Softmax,
}
