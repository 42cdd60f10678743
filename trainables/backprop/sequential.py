"""Networks: modules in a row that share one flat tensor of parameters."""

import copy
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from trainables.backprop.module import Module


class Sequential(Module):
    """Modules one after the other; takes them over, so that they belong to no other network.

    Raises:
        ValueError: If there is no module, or one stands in two places, where it would forget what
            it needs for the backward pass of the first.
    """

    def __init__(self, modules: Sequence[Module]):
        super().__init__(parts=modules)
        distinct = {id(module) for _, module in self._modules()}
        if not modules or len(distinct) < len(list(self._modules())):
            raise ValueError(f"a network needs modules, each in one place, but has {self!r}")

    @staticmethod
    @torch.no_grad()
    def stack(networks: Sequence["Sequential"]) -> "Sequential":
        """One network with a new first member axis out of several of the same architecture.

        Raises:
            ValueError: If their architectures differ.
        """
        names = sorted({repr(network) for network in networks})
        if len(names) != 1:
            raise ValueError(f"only equal networks can be stacked, but these are {names}")
        stacked = copy.deepcopy(networks[0])
        stacked._bind(
            torch.stack([network.flat for network in networks]),
            torch.stack([network.flat_gradients for network in networks]),
        )
        buffers = [network.buffers() for network in networks]
        stacked._put_buffers({k: torch.stack([b[k] for b in buffers]) for k in buffers[0]})
        return stacked

    @torch.no_grad()
    def to(
        self, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> "Sequential":
        """Move the whole network, never one of its parts, to a device or another precision."""
        self._bind(
            self.flat.to(device=device, dtype=dtype),
            self.flat_gradients.to(device=device, dtype=dtype),
        )
        moved = {k: b.to(device=device, dtype=dtype) for k, b in self.buffers().items()}
        self._put_buffers(moved)
        return self

    def state_dict(self) -> dict[str, Float[Tensor, "..."]]:
        """Copies of parameters and buffers; an optimiser has a state of its own."""
        return {k: v.clone() for k, v in (self.parameters() | self.buffers()).items()}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Float[Tensor, "..."]]) -> None:
        """Copy parameters and buffers from a state.

        Raises:
            ValueError: If names or shapes are not those of this network.
        """
        mine = self.parameters() | self.buffers()
        shapes = {k: tuple(v.shape) for k, v in mine.items()}
        theirs = {k: tuple(v.shape) for k, v in state.items()}
        if shapes != theirs:
            raise ValueError(f"state must have the shapes {shapes}, but has {theirs}")
        for name, value in mine.items():
            value.copy_(state[name])

    def _forward(self, x: Tensor) -> Tensor:
        for part in self.parts:
            x = part._forward(x)
        return x

    def _backward(self, grad: Tensor) -> Tensor:
        for part in reversed(self.parts):
            grad = part._backward(grad)
        return grad

    def _put_buffers(self, buffers: Mapping[str, Tensor]) -> None:
        for at, module in self._modules():
            module._buffers = {name: buffers[at + name] for name in module._buffers}
