"""Networks that compute in less precision than their weights have."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from trainables.config import Precision
from trainables.models.layers import Scores


def scores_in(
    precision: Precision,
    network: Callable[..., Scores],
    images: Float[Tensor, "*m b 2 h w"],
    *args: Any,
) -> Scores:
    """What a network says of images, as float32.

    With bfloat16 the layers that PyTorch deems safe, products and convolutions, compute in it, see
    `torch.autocast`; gradients of weights are float32 again.
    """
    if precision == "float32":
        return network(images, *args)
    # no cache: each weight is used once, and a CUDA graph would keep the copy of its capture
    with torch.autocast(images.device.type, torch.bfloat16, cache_enabled=False):
        scores = network(images, *args)
    known = {name: score for name, score in scores._asdict().items() if score is not None}
    return Scores(**{name: score.float() for name, score in known.items()})


def has_bfloat16() -> bool:
    """Whether this machine's processor has instructions for it; without, float32 is faster."""
    known = torch.cpu.get_capabilities()
    return any(known.get(f"{kind}_bf16", False) for kind in ("avx512", "amx", "sve"))
