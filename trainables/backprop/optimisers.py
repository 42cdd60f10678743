"""Optimisers over one flat tensor, with a learning rate for all members or one for each.

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
    """Moves parameters against their gradients; what it remembers, it makes on first use."""

    memory: ClassVar[tuple[str, ...]] = ()
    """Names of the tensors that it remembers."""

    def __init__(self) -> None:
        self._memory: dict[str, Tensor] = {}

    @torch.no_grad()
    def update(
        self,
        params_flat: Float[Tensor, "*m p"],
        grads_flat: Float[Tensor, "*m p"],
        lr: float | Float[Tensor, "*m"],
    ) -> None:
        """Change the parameters in place, by one step."""
        rate = lr.unsqueeze(-1) if isinstance(lr, Tensor) else lr
        self._update(params_flat, grads_flat, rate)

    @abc.abstractmethod
    def _update(self, w: Tensor, g: Tensor, lr: float | Tensor) -> None:
        """The step, with a learning rate that broadcasts to the parameters."""

    def state_dict(self) -> dict[str, Tensor]:
        """Copies of what it remembers; empty before the first step."""
        return {name: tensor.clone() for name, tensor in self._memory.items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Continue from a state, which must lie on the device of the parameters.

        Raises:
            ValueError: If it is another optimiser's.
        """
        if state and set(state) != set(self.memory):
            raise ValueError(f"state must hold {list(self.memory)}, but holds {sorted(state)}")
        self._memory = {name: tensor.clone() for name, tensor in state.items()}

    def _remembered(self, name: str, like: Tensor) -> Tensor:
        if name not in self._memory:
            self._memory[name] = torch.zeros_like(like)
        return self._memory[name]


class SGD(AbstractOptimiser):
    """Plain gradient descent, w <- w - lr g."""

    def _update(self, w: Tensor, g: Tensor, lr: float | Tensor) -> None:
        _descend(w, g, lr)


class Momentum(AbstractOptimiser):
    """The heavy ball, v <- momentum v + g and w <- w - lr v.

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
    """Smaller steps after large gradients, s <- s + g^2 and w <- w - lr g / (sqrt(s) + eps).

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
    """Adagrad that forgets, s <- decay s + (1 - decay) g^2 and w <- w - lr g / (sqrt(s) + eps).

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
    """A new optimiser, one of `OptimiserName`.

    Raises:
        UserError: If there is none of that name.
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
