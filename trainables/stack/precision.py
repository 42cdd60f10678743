"""Mixed precision: networks that compute in a lower precision than that of their weights."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from trainables.config import Precision
from trainables.stack.outputs import changed
from trainables.tasks.task import Output


def output_in(
    precision: Precision,
    compute: Callable[[Mapping[str, Tensor]], Output],
    inputs: Mapping[str, Tensor],
) -> Output:
    """Run `compute` on inputs in a precision; return its output as float32.

    With bfloat16, matrix products and convolutions, which PyTorch considers safe, compute in it,
    see `torch.autocast`; gradients of weights are float32.
    """
    if precision == "float32":
        return compute(inputs)
    device = next(iter(inputs.values())).device.type
    # no cache: each weight is used once, and a CUDA graph would reuse the copy made at capture
    with torch.autocast(device, torch.bfloat16, cache_enabled=False):
        output = compute(inputs)
    return changed(output, Tensor.float)


def has_bfloat16() -> bool:
    """Whether the processor has bfloat16 instructions; without them float32 is faster."""
    known = torch.cpu.get_capabilities()
    return any(known.get(f"{kind}_bf16", False) for kind in ("avx512", "amx", "sve"))
