"""Modules: differentiable functions with parameters and a handwritten backward pass.

Legend of shapes: m member axes (zero or more), n rows, f and k features, p parameters.
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
    """Base class of modules: a differentiable function of rows, with parameters.

    Several members, each with its own parameters, are computed together.

    A module has one flat tensor of all parameters and one of all gradients. Named parameters, and
    the parameters of its parts, are views of the flat tensors. The number of tensor operations in
    an optimiser step therefore does not depend on the number of layers.

    No autograd graph is recorded: public methods run under `torch.no_grad`.
    """

    flat: Float[Tensor, "*m p"]
    """All parameters."""
    flat_gradients: Float[Tensor, "*m p"]
    """Gradients of all parameters, from the last `backward`."""

    def __init__(
        self,
        *,
        settings: Sequence[str] = (),
        parameters: Mapping[str, Tensor] | None = None,
        weights: Sequence[str] = (),
        buffers: Mapping[str, Tensor] | None = None,
        parts: Sequence["Module"] = (),
    ):
        """Set up the flat tensors; the module starts in training mode.

        Args:
            settings: Settings of the architecture, as text for `repr`.
            parameters: Initial values by name, without member axes.
            weights: Names of the parameters to which weight decay applies.
            buffers: Tensors by name that are stored but not trained.
            parts: Modules that become parts of this one; their parameters become views of its
                flat tensor.
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
        """Compute the output of each row; store the values that `backward` needs.

        Args:
            x: Rows of each member, or rows without member axes that all members share.
        """
        return self._forward(x)

    @torch.no_grad()
    def backward(self, grad: Float[Tensor, "*m n k"]) -> Float[Tensor, "*m n f"]:
        """Compute the gradient of the loss at the last input from the one at the last output.

        The gradients of the parameters are stored; they overwrite those of an earlier call.
        """
        return self._backward(grad)

    @torch.no_grad()
    def step(
        self,
        optimiser: AbstractOptimiser,
        lr: float | Float[Tensor, "*m"],
        weight_decay: float | Float[Tensor, "*m"] = 0.0,
    ) -> None:
        """Update the parameters with an optimiser; call it once after each `backward`.

        Weight decay adds the gradient of `losses.l2_penalty`, 2 weight_decay w, to the stored
        gradients of the weights, and only of the weights.
        """
        if isinstance(weight_decay, Tensor):
            factors = (2 * weight_decay).unsqueeze(-1) * self._decays
            self.flat_gradients.addcmul_(self.flat, factors)
        elif weight_decay != 0:
            self.flat_gradients.addcmul_(self.flat, self._decays, value=2 * weight_decay)
        optimiser.update(self.flat, self.flat_gradients, lr)

    @abc.abstractmethod
    def _forward(self, x: Tensor) -> Tensor:
        """As `forward`, for callers that already run without autograd."""

    @abc.abstractmethod
    def _backward(self, grad: Tensor) -> Tensor:
        """As `backward`, for callers that already run without autograd."""

    def train(self: AnyModule) -> AnyModule:
        """Set training mode, in which batch-norm uses the statistics of the batch."""
        for _, module in self._modules():
            module.training = True
        return self

    def eval(self: AnyModule) -> AnyModule:
        """Set evaluation mode, in which the output of a row depends on that row only."""
        for _, module in self._modules():
            module.training = False
        return self

    def weights(self) -> list[Float[Tensor, "..."]]:
        """Views of the parameters to which weight decay applies: no biases, no batch-norm."""
        return [m._parameters[name] for _, m in self._modules() for name in m._weights]

    def parameters(self) -> dict[str, Float[Tensor, "..."]]:
        """Views of the parameters, by index of the part and name, such as `0.weight`."""
        return {at + k: p for at, m in self._modules() for k, p in m._parameters.items()}

    def gradients(self) -> dict[str, Float[Tensor, "..."]]:
        """Views of the gradients, by the names of their parameters."""
        return {at + k: g for at, m in self._modules() for k, g in m._gradients.items()}

    def buffers(self) -> dict[str, Float[Tensor, "..."]]:
        """Tensors that are stored but not trained: the running statistics of batch-norm."""
        return {at + k: b for at, m in self._modules() for k, b in m._buffers.items()}

    @property
    def num_params(self) -> int:
        """Number of trainable parameters of one member."""
        return self.flat.shape[-1]

    def __repr__(self) -> str:
        """Architecture; equal for modules that compute the same function of their parameters."""
        return f"{type(self).__name__}({', '.join([*self._settings, *map(repr, self.parts)])})"

    def __setstate__(self, state: dict[str, Any]) -> None:
        # after pickling, views have their own storage, which an optimiser step would not change
        self.__dict__.update(state)
        self._bind(self.flat, self.flat_gradients)

    def _modules(self, at: str = "") -> Iterator[tuple[str, "Module"]]:
        """Iterate over this module and all its parts, each with the prefix of its names."""
        yield at, self
        for i, part in enumerate(self.parts):
            yield from part._modules(f"{at}{i}.")

    def _bind(self, flat: Tensor, gradients: Tensor) -> None:
        """Set the flat tensors of this module, and make all named tensors views of them."""
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
