"""Networks: sequences of modules that share one flat tensor of parameters."""

import copy
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from trainables.backprop.module import Module


class Sequential(Module):
    """Network that applies modules in sequence; its modules cannot be used in other networks.

    Raises:
        ValueError: If there is no module, or a module occurs twice: its second forward pass would
            overwrite the values that the backward pass of the first one needs.
    """

    def __init__(self, modules: Sequence[Module]):
        super().__init__(parts=modules)
        distinct = {id(module) for _, module in self._modules()}
        if not modules or len(distinct) < len(list(self._modules())):
            raise ValueError(f"a network needs modules, each of them only once, but has {self!r}")

    @staticmethod
    @torch.no_grad()
    def stack(networks: Sequence["Sequential"]) -> "Sequential":
        """Stack networks of the same architecture into one, along a new first member axis.

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
        """Move the network to a device or dtype; call it on the whole network, not on a part."""
        self._bind(
            self.flat.to(device=device, dtype=dtype),
            self.flat_gradients.to(device=device, dtype=dtype),
        )
        moved = {k: b.to(device=device, dtype=dtype) for k, b in self.buffers().items()}
        self._put_buffers(moved)
        return self

    def state_dict(self) -> dict[str, Float[Tensor, "..."]]:
        """Return copies of parameters and buffers; the optimiser's state is separate."""
        return {k: v.clone() for k, v in (self.parameters() | self.buffers()).items()}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Float[Tensor, "..."]]) -> None:
        """Copy parameters and buffers from a state.

        Raises:
            ValueError: If names or shapes differ from those of this network.
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
