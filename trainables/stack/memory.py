"""Memory check: whether the networks of a trial can fit, before any of them is built."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import nn

from foldsweep.errors import UserError
from trainables.backprop.sequential import Sequential
from trainables.models.layers import num_params

BYTES = 4
"""Bytes per number; parameters are always float32."""
COPIES = 4
"""Numbers that training keeps for each parameter: itself, its gradient and Adam's two moments."""
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def check_size(make_model: Callable[[], Any], *, members: int, device: str = "cpu") -> None:
    """Refuse a network whose copies for all folds need more memory than there is.

    The network is built on torch's `meta` device, which has shapes but no data. A network that
    cannot be built there is not checked.

    Args:
        make_model: Builds the network.
        members: Number of networks that train at the same time.
        device: Device that they train on.

    Raises:
        UserError: Naming the number of parameters, the memory needed and the memory available.
    """
    try:
        model = _built(make_model, "meta")
    except Exception as error:
        if "overflow" in str(error).lower():  # in torch's message
            raise UserError.of("memory.layer-too-large") from None
        return  # the error appears, with its cause, when the network is built
    if isinstance(model, nn.Module):
        parameters = sum(p.numel() for p in model.parameters())
    elif isinstance(model, Sequential):
        parameters = model.num_params
    else:
        return
    needed, there = parameters * BYTES * COPIES * members, memory(device)
    if needed > there:
        raise UserError.of(
            "memory.network-too-large",
            parameters=parameters,
            needed=needed / 2**30,
            folds=members,
            there=there / 2**30,
        )


def parameters_of(make_model: Callable[[], Any]) -> int | None:
    """Number of trainable parameters of a network, as a trial records it.

    Args:
        make_model: Builds the network, if possible on the `meta` device, which has no data.

    Returns:
        The number; None if the model cannot be built or is not a network.
    """
    for device in ("meta", "cpu"):
        with suppress(Exception):
            model = _built(make_model, device)
            return num_params(model) if isinstance(model, nn.Module) else model.num_params
    return None


def _built(make_model: Callable[[], Any], device: str) -> Any:
    with torch.random.fork_rng(devices=[]), torch.device(device):
        return make_model()


def memory(device: str = "cpu") -> int:
    """Most bytes that this process may use: memory of the machine, or of a GPU."""
    if device.startswith("cuda"):
        return int(torch.cuda.get_device_properties(device).total_memory)
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    texts = [Path(path).read_text("utf-8").strip() for path in _LIMITS if Path(path).is_file()]
    return min([whole, *(int(text) for text in texts if text.isdigit())])
