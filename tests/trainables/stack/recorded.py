"""A CUDA graph without CUDA: the operations of one call, run again on the same memory."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only


class Recorder(TorchDispatchMode):
    """Notes every operation below autograd, with the tensors that it was given and gave.

    A replay gives the operations the same tensors, whatever these hold by then, and puts each
    result where it was when recorded. As in a CUDA graph no Python runs again, numbers that are no
    tensors are frozen, and random operations draw anew.
    """

    def __init__(self):
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, Any]] = []
        self.read: dict[int, Tensor] = {}
        """Tensors from outside, by where their memory is."""
        self.made: set[int] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for t in tree_leaves((args, kwargs)):
            if isinstance(t, Tensor) and memory(t) not in self.made:
                self.read.setdefault(memory(t), t.detach())
        for t in tree_leaves(result):
            if isinstance(t, Tensor) and memory(t) not in self.read:
                self.made.add(memory(t))
        # aliases, which do not keep what autograd knows of the tensors
        alias = tree_map_only(Tensor, torch.Tensor.detach, (args, kwargs or {}, result))
        self.calls.append((func, *alias))
        return result

    @torch.no_grad()
    def replay(self) -> None:
        for func, args, kwargs, result in self.calls:
            again = func(*args, **kwargs)
            for old, new in zip(tree_leaves(result), tree_leaves(again), strict=True):
                if isinstance(old, Tensor) and memory(old) != memory(new):
                    old.copy_(new)


def memory(t: Tensor) -> int:
    return t.untyped_storage()._cdata


def recorded(run: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
    """What captures a CUDA graph: warms up, and computes nothing when it captures."""
    for _ in range(2):
        run()
    recorder = Recorder()
    with recorder:
        output = run()
    output.detach().fill_(torch.nan)
    return recorder.replay, output
