"""All members' networks as one: stacked layers with a leading member axis, or else `vmap`.

Legend of shapes: m members, b rows in a batch, f features.
"""

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn import functional as F

from trainables.models.layers import Dropout
from trainables.models.perceptron import OneHot
from trainables.stack.engine import feed
from trainables.stack.outputs import Rebuild, parts_of
from trainables.tasks.task import Output


class VmappedNetworks:
    """Networks of any architecture, the same for all members, run by `torch.func.vmap`."""

    def __init__(self, models: Sequence[nn.Module]):
        self.params, self.buffers = stack_module_state(list(models))
        self.skeleton = copy.deepcopy(models[0])
        self._rebuild: Rebuild = dict

    def __call__(self, inputs: Mapping[str, Tensor], noise: Mapping[str, Tensor]) -> Output:
        """Output of every member; `noise` holds the noise buffers of dropout layers, by name."""
        members = vmap(self._member, randomness="different")
        parts = members(self.params, {**self.buffers, **noise}, dict(inputs))
        return self._rebuild(parts)

    def _member(self, params: Any, buffers: Any, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        def network(*alone: Tensor, **named: Tensor) -> Output:
            return functional_call(self.skeleton, (params, buffers), alone, named)

        parts, self._rebuild = parts_of(feed(network, inputs))
        return parts


class StackedNetworks:
    """Networks of known layers that count axes from the end, see `can_be_stacked`.

    They need a quarter of the operations of `vmap`, and so about half of its time if layers are
    small.
    """

    def __init__(self, models: Sequence[nn.Module]):
        self.skeleton = copy.deepcopy(models[0])
        for name, layer in models[0].named_modules():
            if type(layer) in STACKED:
                members = [model.get_submodule(name) for model in models]
                self.skeleton.set_submodule(name, STACKED[type(layer)](members))
        self.skeleton.train(models[0].training)
        self.params = dict(self.skeleton.named_parameters())
        self.buffers = dict(self.skeleton.named_buffers())

    def __call__(self, inputs: Mapping[str, Tensor], noise: Mapping[str, Tensor]) -> Output:
        """Output of every member; `noise` holds the noise buffers of dropout layers, by name."""
        for name, values in noise.items():
            layer, _, buffer = name.rpartition(".")
            setattr(self.skeleton.get_submodule(layer), buffer, values)
        return feed(self.skeleton, inputs)


class StackedLinear(nn.Module):
    """The members' linear layers as one."""

    def __init__(self, members: Sequence[nn.Linear]):
        super().__init__()
        self.weight = nn.Parameter(_stack(layer.weight for layer in members))
        self.bias = nn.Parameter(_stack(layer.bias for layer in members))

    def forward(self, x: Float[Tensor, "m b f"]) -> Float[Tensor, "m b g"]:
        return torch.baddbmm(self.bias.unsqueeze(2), self.weight, x.mT).mT


class StackedBatchNorm(nn.Module):
    """The members' batch-norm layers as one, over m times f features."""

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, members: Sequence[nn.BatchNorm1d]):
        super().__init__()
        self.momentum, self.eps = float(members[0].momentum or 0), members[0].eps
        self.weight = nn.Parameter(_stack(layer.weight for layer in members))
        self.bias = nn.Parameter(_stack(layer.bias for layer in members))
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            self.register_buffer(name, _stack(getattr(layer, name) for layer in members))

    def forward(self, x: Float[Tensor, "m b f"]) -> Float[Tensor, "m b f"]:
        m, b, f = x.shape
        if self.training:
            self.num_batches_tracked.add_(1)
        y = F.batch_norm(
            x.mT.reshape(1, m * f, b),
            self.running_mean.view(-1),
            self.running_var.view(-1),
            self.weight.view(-1),
            self.bias.view(-1),
            training=self.training,
            momentum=self.momentum,
            eps=self.eps,
        )
        return y.view(m, f, b).mT


def stacked_dropout(members: Sequence[Dropout]) -> Dropout:
    """The members' dropout layers as one, with each member's rate."""
    layer = copy.deepcopy(members[0])
    layer.rate = _stack(member.rate for member in members)
    return layer


STACKED: dict[type[nn.Module], Callable[[Sequence[Any]], nn.Module]] = {
    nn.Linear: StackedLinear,
    nn.BatchNorm1d: StackedBatchNorm,
    Dropout: stacked_dropout,
}
"""Builds the stacked form of the members' layers, by layer type; a layer's input is (b, f)."""
ELEMENTWISE = (nn.ReLU, nn.LeakyReLU)
CONTAINERS = (nn.Sequential, nn.ModuleList)


def can_be_stacked(model: nn.Module) -> bool:
    """Whether a network declares `takes_leading_axes`, and all of its layers are known.

    A network with a shared layer or parameter cannot: the copies would be trained separately.
    """
    layers = [layer for _, layer in model.named_modules(remove_duplicate=False)]
    params = [p for _, p in model.named_parameters(remove_duplicate=False)]
    return (
        _takes_leading_axes(model)
        and all(_is_known(layer) for layer in layers)
        and not any(part._forward_pre_hooks or part._forward_hooks for part in layers[1:])
        and len(set(layers)) == len(layers)
        and len(set(params)) == len(params)
    )


def _takes_leading_axes(model: nn.Module) -> bool:
    """Whether the class that defines `forward` declares `takes_leading_axes`.

    A derived class with a `forward` of its own must declare it again.
    """
    owner = next(kind for kind in type(model).__mro__ if "forward" in vars(kind))
    return bool(vars(owner).get("takes_leading_axes", False))


def _is_known(layer: nn.Module) -> bool:
    names = {name for name, _ in layer.named_parameters(recurse=False)}
    match layer:
        case nn.Linear():  # a weight-normalised or pruned layer has other parameters and a hook
            return type(layer) is nn.Linear and names == {"weight", "bias"}
        case nn.BatchNorm1d():
            whole = layer.track_running_stats and layer.momentum is not None
            return type(layer) is nn.BatchNorm1d and names == {"weight", "bias"} and whole
        case Dropout():
            return type(layer) is Dropout and not layer.channelwise
        case OneHot():
            return type(layer) is OneHot
    own = [*layer.parameters(recurse=False), *layer.buffers(recurse=False)]
    has_parts = next(layer.children(), None) is not None
    return type(layer) in (*ELEMENTWISE, *CONTAINERS) or (has_parts and not own)


def _stack(tensors: Iterable[Tensor]) -> Tensor:
    return torch.stack([tensor.detach() for tensor in tensors])
