"""The fused step as a CUDA graph: captured once for each shape of batch, then replayed."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from trainables.stack.engine import AbstractEngine, Batch, MemberValues, Sums
from trainables.stack.fused import FusedEngine
from trainables.tasks.task import Output

Capture = Callable[[Callable[[], Tensor]], tuple[Callable[[], None], Tensor]]
"""Captures a function: returns a function that replays it, and the tensor that holds the result.

A capture may run the function any number of times to warm up.
"""

WARM_UPS = 3
"""Runs before a capture, as in PyTorch's documentation: first calls set up libraries."""


@dataclass(frozen=True, kw_only=True)
class _Graph:
    """A captured computation, and the tensors that it reads and writes."""

    inputs: list[Tensor]
    replay: Callable[[], None]
    output: Float[Tensor, "sums m"]
    names: tuple[str, ...]
    """Names of the sums."""

    def __call__(self, values: Sequence[Tensor | float]) -> Sums:
        """Replay with new values; return copies of the sums, which later replays do not change."""
        for mine, value in zip(self.inputs, values, strict=True):
            if isinstance(value, Tensor):
                mine.copy_(value)
            else:
                mine.fill_(value)  # unlike a copy from the CPU, does not synchronise
        self.replay()
        return dict(zip(self.names, self.output.clone().unbind(), strict=True))


class GraphedEngine(AbstractEngine):
    """Runs each fused step as one CUDA graph: one launch instead of about a hundred.

    A graph runs the same kernels on the same memory, without Python. So everything that changes
    between steps is copied into tensors at fixed addresses: batch, learning rates, Adam's bias
    corrections, and the values. Parameters, buffers and moments are written in place only.

    Do not use it for a network whose forward pass depends on Python state that changes between
    steps. If capturing fails, the engine warns and continues with fused steps.
    """

    def __init__(self, fused: FusedEngine, capture: Capture):
        self.fused = fused
        self.capture: Capture | None = capture
        self.graphs: dict[tuple[object, ...], _Graph] = {}

    @property
    def values(self) -> MemberValues:
        """Values in tensors at fixed addresses; assignment copies into them."""
        return self.fused.values

    @values.setter
    def values(self, values: MemberValues) -> None:
        mine = self.fused.values
        mine.weight_decay.copy_(values.weight_decay)
        for name, value in values.loss.items():
            mine.loss[name].copy_(value)

    def freeze(self, parts: tuple[str, ...]) -> None:
        self.graphs.clear()  # they train the old parameters with the old optimiser's moments
        self.fused.freeze(parts)

    def step(self, batch: Batch, lr: Float[Tensor, " m"]) -> Sums:
        return self._run(self.fused.train, batch, *self.fused.adam.advance(lr))

    def evaluate(self, batch: Batch) -> Sums:
        return self._run(self.fused.evaluate, batch)

    def predict(self, inputs: dict[str, Tensor]) -> Output:
        return self.fused.predict(inputs)

    def weights(self) -> dict[str, Tensor]:
        return self.fused.weights()

    def state_dict(self) -> dict[str, Any]:
        return self.fused.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.fused.load_state_dict(state)

    def _run(self, compute: Callable[..., Sums], batch: Batch, *others: Tensor | float) -> Sums:
        """Run `compute` on a batch and other values, as a graph if it can be captured."""
        tensors = batch.tensors()
        key = (compute.__name__, *((name, t.shape) for name, t in tensors.items()))
        values = [*tensors.values(), *others]
        if key not in self.graphs and self.capture is not None:
            try:
                self.graphs[key] = self._captured(self.capture, compute, list(tensors), values)
            except RuntimeError as error:
                cause = error.__context__ or error  # the root cause, not the failed capture
                reason = (str(cause).strip() or type(cause).__name__).splitlines()[0]
                said = f"no CUDA graph can be captured ({reason}); steps are fused"
                warnings.warn(said, RuntimeWarning, stacklevel=2)
                self.capture = None
                self.graphs.clear()
        graph = self.graphs.get(key)
        return compute(batch, *others) if graph is None else graph(values)

    def _captured(
        self,
        capture: Capture,
        compute: Callable[..., Sums],
        names: Sequence[str],
        values: Sequence[Tensor | float],
    ) -> _Graph:
        param = next(iter(self.fused.params.values()))
        inputs = [
            value.clone(memory_format=torch.contiguous_format)
            if isinstance(value, Tensor)
            else torch.tensor(value, dtype=param.dtype, device=param.device)
            for value in values
        ]
        batch = Batch.of(dict(zip(names, inputs, strict=False)))
        sums: Sums = {}

        def run() -> Tensor:
            sums.update(compute(batch, *inputs[len(names) :]))
            return torch.stack(list(sums.values()))

        with self._unchanged():
            replay, output = capture(run)
        return _Graph(inputs=inputs, replay=replay, output=output, names=tuple(sums))

    @contextmanager
    def _unchanged(self) -> Iterator[None]:
        """On exit, restore in place what steps change, and drop all gradients."""
        fused = self.fused
        params = list(fused.params.values())
        moments = [*fused.adam.exp_avg, *fused.adam.exp_avg_sq]
        state = [*params, *fused.buffers.values(), *moments]
        before = [t.detach().clone() for t in state]
        device = params[0].device
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            try:
                yield
            finally:
                with torch.no_grad():
                    for now, then in zip(state, before, strict=True):
                        now.copy_(then)
                for p in params:
                    p.grad = None


@cache
def _capture_stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)


def cuda_graph(
    device: torch.device, run: Callable[[], Tensor]
) -> tuple[Callable[[], None], Tensor]:
    """A `Capture` that warms up on a side stream, as PyTorch requires, and captures on it.

    All graphs of a device are captured on one stream: autograd nodes that outlive a capture belong
    to its stream, and torch warns if they are used on another. Each graph has its own memory.
    torch registers the device's default generator with each graph, so layers that draw their own
    random numbers draw new ones in each replay, as seeded.
    """
    with torch.cuda.device(device):
        stream = _capture_stream(device)
        stream.wait_stream(torch.cuda.current_stream())
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.stream(stream):  # a failed `torch.cuda.graph` would stay on it
                for _ in range(WARM_UPS):
                    run()
                with torch.cuda.graph(graph, stream=stream):
                    output = run()
        finally:
            torch.cuda.current_stream().wait_stream(stream)
    return graph.replay, output
