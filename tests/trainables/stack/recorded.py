"""Stand-in for a CUDA graph without CUDA: repeats the operations of a call on the same memory."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only


class Recorder(TorchDispatchMode):
    """Records every operation below autograd, with its input and output tensors.

    A replay runs the operations on the same tensors with their current values, and writes each
    result to the memory of the recorded one. As in a CUDA graph, no Python code runs again,
    numbers that are not tensors are frozen, and random operations draw new values.
    """

    def __init__(self):
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, Any]] = []
        self.read: dict[int, Tensor] = {}
        """Tensors that no recorded operation created, by the address of their storage."""
        self.made: set[int] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for t in tree_leaves((args, kwargs)):
            if isinstance(t, Tensor) and memory(t) not in self.made:
                self.read.setdefault(memory(t), t.detach())
        for t in tree_leaves(result):
            if isinstance(t, Tensor) and memory(t) not in self.read:
                self.made.add(memory(t))
        # detached aliases, which do not keep the autograd graph of the tensors
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
    """Stand-in for the capture of a CUDA graph.

    Warms up with two runs. The output is NaN until a replay, since a capture computes nothing.
    """
    for _ in range(2):
        run()
    recorder = Recorder()
    with recorder:
        output = run()
    output.detach().fill_(torch.nan)
    return recorder.replay, output
