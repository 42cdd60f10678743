"""Optimisers of one flat tensor, with one learning rate for all members or one per member.

The updates are those of `torch.optim`, up to rounding. Legend of shapes: m member axes,
p parameters; g is the gradient, w the parameters.
"""

import abc
from collections.abc import Callable, Mapping
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from trainables.backprop.names import chosen

OptimiserName = Literal["sgd", "momentum", "adagrad", "rmsprop"]


class AbstractOptimiser(abc.ABC):
    """Base class of optimisers; state tensors are created in the first step."""

    memory: ClassVar[tuple[str, ...]] = ()
    """Names of the state tensors."""

    def __init__(self) -> None:
        self._memory: dict[str, Tensor] = {}

    @torch.no_grad()
    def update(
        self,
        params_flat: Float[Tensor, "*m p"],
        grads_flat: Float[Tensor, "*m p"],
        lr: float | Float[Tensor, "*m"],
    ) -> None:
        """Update the parameters in place, by one step."""
        rate = lr.unsqueeze(-1) if isinstance(lr, Tensor) else lr
        self._update(params_flat, grads_flat, rate)

    @abc.abstractmethod
    def _update(self, w: Tensor, g: Tensor, lr: float | Tensor) -> None:
        """Update `w` in place by one step; `lr` broadcasts to the parameters."""

    def state_dict(self) -> dict[str, Tensor]:
        """Return copies of the state tensors; empty before the first step."""
        return {name: tensor.clone() for name, tensor in self._memory.items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Load a state, whose tensors must be on the device of the parameters.

        Raises:
            ValueError: If the names are not those of this optimiser's state.
        """
        if state and set(state) != set(self.memory):
            raise ValueError(f"state must hold {list(self.memory)}, but holds {sorted(state)}")
        self._memory = {name: tensor.clone() for name, tensor in state.items()}

    def _remembered(self, name: str, like: Tensor) -> Tensor:
        if name not in self._memory:
            self._memory[name] = torch.zeros_like(like)
        return self._memory[name]


class SGD(AbstractOptimiser):
    """Stochastic gradient descent, w <- w - lr g."""

    def _update(self, w: Tensor, g: Tensor, lr: float | Tensor) -> None:
        _descend(w, g, lr)


class Momentum(AbstractOptimiser):
    """Momentum (heavy ball), v <- momentum v + g and w <- w - lr v.

    References:
        Polyak (1964), "Some methods of speeding up the convergence of iteration methods".
    """

    memory = ("velocity",)

    def __init__(self, momentum: float = 0.9):
        super().__init__()
        self.momentum = momentum

    def _update(self, w: Tensor, g: Tensor, lr: float | Tensor) -> None:
        v = self._remembered("velocity", w).mul_(self.momentum).add_(g)
        _descend(w, v, lr)


class Adagrad(AbstractOptimiser):
    """Adagrad, s <- s + g^2 and w <- w - lr g / (sqrt(s) + eps).

    Parameters with large past gradients get smaller steps.

    References:
        Duchi, Hazan and Singer (2011), "Adaptive subgradient methods for online learning and
        stochastic optimization", JMLR 12.
    """

    memory = ("squares",)

    def __init__(self, eps: float = 1e-10):
        super().__init__()
        self.eps = eps

    def _update(self, w: Tensor, g: Tensor, lr: float | Tensor) -> None:
        s = self._remembered("squares", w).addcmul_(g, g)
        _descend_scaled(w, g, s.sqrt().add_(self.eps), lr)


class RMSProp(AbstractOptimiser):
    """RMSProp, s <- decay s + (1 - decay) g^2 and w <- w - lr g / (sqrt(s) + eps).

    Adagrad with an exponential moving average of squared gradients in place of their sum.

    References:
        Tieleman and Hinton (2012), "Lecture 6.5: rmsprop", Coursera.
    """

    memory = ("squares",)

    def __init__(self, decay: float = 0.9, eps: float = 1e-8):
        super().__init__()
        self.decay = decay
        self.eps = eps

    def _update(self, w: Tensor, g: Tensor, lr: float | Tensor) -> None:
        s = self._remembered("squares", w).mul_(self.decay).addcmul_(g, g, value=1 - self.decay)
        _descend_scaled(w, g, s.sqrt().add_(self.eps), lr)


OPTIMISERS: dict[str, Callable[[], AbstractOptimiser]] = {
    "sgd": SGD,
    "momentum": Momentum,
    "adagrad": Adagrad,
    "rmsprop": RMSProp,
}


def make_optimiser(name: str) -> AbstractOptimiser:
    """Make an optimiser by name, one of `OptimiserName`.

    Raises:
        UserError: If there is no such optimiser.
    """
    return chosen(OPTIMISERS, name, what="optimiser")()


def _descend(w: Tensor, direction: Tensor, lr: float | Tensor) -> None:
    if isinstance(lr, Tensor):
        w.addcmul_(direction, lr, value=-1)
    else:
        w.sub_(direction, alpha=lr)


def _descend_scaled(w: Tensor, g: Tensor, scale: Tensor, lr: float | Tensor) -> None:
    if isinstance(lr, Tensor):
        w.addcdiv_(g * lr, scale, value=-1)
    else:
        w.addcdiv_(g, scale, value=-lr)
