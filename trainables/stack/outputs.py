"""Outputs of networks: a tensor, a mapping or a named tuple of tensors, handled alike."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

from foldsweep.errors import UserError
from trainables.tasks.task import Output

Rebuild = Callable[[dict[str, Tensor]], Output]


def parts_of(output: Output) -> tuple[dict[str, Tensor], Rebuild]:
    """Tensors of an output by name, and the function that rebuilds an output from them.

    Fields of a named tuple that are None are left out.

    Raises:
        UserError: If the output is no tensor, mapping or named tuple.
    """
    if isinstance(output, Tensor):
        return {"": output}, lambda parts: parts[""]
    if isinstance(output, Mapping):
        return dict(output), lambda parts: parts
    if isinstance(output, tuple) and hasattr(output, "_asdict"):
        named = {name: part for name, part in output._asdict().items() if part is not None}
        return named, lambda parts: type(output)(**parts)
    raise UserError.of("outputs.not-tensors", type=type(output).__name__)


def changed(output: Output, change: Callable[[Tensor], Tensor]) -> Output:
    """Apply `change` to every tensor of an output."""
    if isinstance(output, Tensor):
        return change(output)
    parts, rebuild = parts_of(output)
    return rebuild({name: change(part) for name, part in parts.items()})


def stacked(outputs: Sequence[Output]) -> Output:
    """Stack the outputs of members along a new leading axis."""
    return _combined(outputs, torch.stack)


def concatenated(outputs: Sequence[Output], axis: int) -> Output:
    """Concatenate the outputs of batches along an axis."""
    return _combined(outputs, lambda parts: torch.cat(parts, axis))


def members_of(output: Output, count: int) -> Iterator[Output]:
    """Yield each member's output, without the leading member axis."""
    for m in range(count):
        yield changed(output, lambda part, m=m: part[m])  # type: ignore[misc]


def _combined(outputs: Sequence[Output], combine: Callable[[list[Tensor]], Tensor]) -> Output:
    each = [parts_of(output)[0] for output in outputs]
    rebuild = parts_of(outputs[0])[1]
    return rebuild({name: combine([parts[name] for parts in each]) for name in each[0]})
