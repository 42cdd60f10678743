"""What networks are made of: functions with parameters and a backward pass written by hand.

Legend of shapes: m member axes (any number, also none), n rows, f and k features, p parameters.
"""

import abc
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from trainables.backprop.optimisers import AbstractOptimiser

AnyModule = TypeVar("AnyModule", bound="Module")


class Module(abc.ABC):
    """A differentiable function of rows, with parameters; several members run side by side.

    A module owns one flat tensor of parameters and one of their gradients; the parameters that
    have a name are views of it, and so is all that belongs to the modules it is made of. A step
    is therefore a handful of operations, however many layers there are.

    Nothing here records a graph: what is public runs under `torch.no_grad`.
    """

    flat: Float[Tensor, "*m p"]
    """All parameters."""
    flat_gradients: Float[Tensor, "*m p"]
    """Their gradients, as of the last `backward`."""

    def __init__(
        self,
        *,
        settings: Sequence[str] = (),
        parameters: Mapping[str, Tensor] | None = None,
        weights: Sequence[str] = (),
        buffers: Mapping[str, Tensor] | None = None,
        parts: Sequence["Module"] = (),
    ):
        """Start in training mode.

        Args:
            settings: What tells its architecture from others of its class, for people to read.
            parameters: First values by name, without member axes.
            weights: Names of the parameters that weight decay applies to.
            buffers: What is kept but not trained.
            parts: Modules to take over, parameters and all.
        """
        self.training = True
        self.parts = tuple(parts)
        self._settings = tuple(settings)
        self._shapes = {name: tuple(p.shape) for name, p in (parameters or {}).items()}
        self._weights = tuple(weights)
        self._buffers = dict(buffers or {})
        pieces = [p.flatten() for p in (parameters or {}).values()]
        flat = torch.cat([torch.empty(0), *pieces, *(part.flat for part in parts)])
        self._bind(flat, torch.zeros_like(flat))

    @torch.no_grad()
    def forward(self, x: Float[Tensor, "*d n f"]) -> Float[Tensor, "*m n k"]:
        """The function of each row; remembers what `backward` needs.

        Args:
            x: Rows of each member, or rows without member axes for all members alike.
        """
        return self._forward(x)

    @torch.no_grad()
    def backward(self, grad: Float[Tensor, "*m n k"]) -> Float[Tensor, "*m n f"]:
        """Turn the loss's gradient at the last output into the one at its input.

        Stores the gradients of the parameters, over those of an earlier call.
        """
        return self._backward(grad)

    @torch.no_grad()
    def step(
        self,
        optimiser: AbstractOptimiser,
        lr: float | Float[Tensor, "*m"],
        weight_decay: float | Float[Tensor, "*m"] = 0.0,
    ) -> None:
        """Let an optimiser move the parameters, once after each `backward`.

        Weight decay adds the gradient of `losses.l2_penalty`, 2 weight_decay w, to the stored
        gradients of the weights, and of nothing but the weights.
        """
        if isinstance(weight_decay, Tensor):
            factors = (2 * weight_decay).unsqueeze(-1) * self._decays
            self.flat_gradients.addcmul_(self.flat, factors)
        elif weight_decay != 0:
            self.flat_gradients.addcmul_(self.flat, self._decays, value=2 * weight_decay)
        optimiser.update(self.flat, self.flat_gradients, lr)

    @abc.abstractmethod
    def _forward(self, x: Tensor) -> Tensor:
        """What `forward` does, for callers that record no graph anyway."""

    @abc.abstractmethod
    def _backward(self, grad: Tensor) -> Tensor:
        """What `backward` does, for callers that record no graph anyway."""

    def train(self: AnyModule) -> AnyModule:
        """Switch to training mode, in which batch-norm uses the statistics of the batch."""
        for _, module in self._modules():
            module.training = True
        return self

    def eval(self: AnyModule) -> AnyModule:
        """Switch to evaluation mode, in which each row's output depends on that row alone."""
        for _, module in self._modules():
            module.training = False
        return self

    def weights(self) -> list[Float[Tensor, "..."]]:
        """Views of what weight decay applies to: no biases, no scales of batch-norm."""
        return [m._parameters[name] for _, m in self._modules() for name in m._weights]

    def parameters(self) -> dict[str, Float[Tensor, "..."]]:
        """Views of the parameters, by place and name, such as `0.weight`."""
        return {at + k: p for at, m in self._modules() for k, p in m._parameters.items()}

    def gradients(self) -> dict[str, Float[Tensor, "..."]]:
        """Views of the gradients, under the names of their parameters."""
        return {at + k: g for at, m in self._modules() for k, g in m._gradients.items()}

    def buffers(self) -> dict[str, Float[Tensor, "..."]]:
        """What is kept but not trained: the running statistics of batch-norm."""
        return {at + k: b for at, m in self._modules() for k, b in m._buffers.items()}

    @property
    def num_params(self) -> int:
        """Learnable numbers of one member."""
        return self.flat.shape[-1]

    def __repr__(self) -> str:
        """The architecture: equal for modules that compute the same function of their values."""
        return f"{type(self).__name__}({', '.join([*self._settings, *map(repr, self.parts)])})"

    def __setstate__(self, state: dict[str, Any]) -> None:
        # pickling would leave each view with a storage of its own, which no step would reach
        self.__dict__.update(state)
        self._bind(self.flat, self.flat_gradients)

    def _modules(self, at: str = "") -> Iterator[tuple[str, "Module"]]:
        """This module and all that it is made of, with the prefix of its names."""
        yield at, self
        for i, part in enumerate(self.parts):
            yield from part._modules(f"{at}{i}.")

    def _bind(self, flat: Tensor, gradients: Tensor) -> None:
        """Take flat tensors for one's own; all named ones become views of these."""
        self.flat, self.flat_gradients = flat, gradients
        sizes = [math.prod(shape) for shape in self._shapes.values()]
        own = len(sizes)
        sizes += [part.num_params for part in self.parts]
        values, slopes = flat.split(sizes, dim=-1), gradients.split(sizes, dim=-1)
        self._parameters, self._gradients = (
            {
                name: piece.unflatten(-1, shape)
                for (name, shape), piece in zip(self._shapes.items(), pieces[:own], strict=True)
            }
            for pieces in (values, slopes)
        )
        for part, p, g in zip(self.parts, values[own:], slopes[own:], strict=True):
            part._bind(p, g)
        decays = [
            torch.full((size,), float(name in self._weights))
            for name, size in zip(self._shapes, sizes, strict=False)
        ]
        decays += [part._decays for part in self.parts]
        self._decays: Tensor = torch.cat([torch.empty(0), *(d.to(flat) for d in decays)])
