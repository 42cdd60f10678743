"""Networks that compute in less precision than their weights have."""

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
    """What `compute` makes of inputs, as float32.

    With bfloat16 the layers that PyTorch deems safe, products and convolutions, compute in it, see
    `torch.autocast`; gradients of weights are float32 again.
    """
    if precision == "float32":
        return compute(inputs)
    device = next(iter(inputs.values())).device.type
    # no cache: each weight is used once, and a CUDA graph would keep the copy of its capture
    with torch.autocast(device, torch.bfloat16, cache_enabled=False):
        output = compute(inputs)
    return changed(output, Tensor.float)


def has_bfloat16() -> bool:
    """Whether this machine's processor has instructions for it; without, float32 is faster."""
    known = torch.cpu.get_capabilities()
    return any(known.get(f"{kind}_bf16", False) for kind in ("avx512", "amx", "sve"))
