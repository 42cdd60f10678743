"""Domains that the spaces share."""

from typing import Any

from ray import tune


def optimisation() -> dict[str, Any]:
    """Learning rate and its schedule, weight decay, batch size, epochs."""
    return {
        "lr": tune.loguniform(3e-4, 2e-2),
        "weight_decay": tune.loguniform(1e-6, 1e-2),
        "batch_size": tune.lograndint(32, 129),  # 32..128: Tune's upper bound is exclusive
        "lr_schedule": "cosine",
        "epochs": 30,
    }


def convolutions() -> dict[str, Any]:
    """Channels of the first block, hidden width and dropout of two blocks with 5x5 kernels."""
    return {
        "channels": tune.qrandint(16, 64, 8),  # vector units like multiples of 8
        "hidden": tune.qrandint(32, 256, 32),
        "dropout": tune.uniform(0.0, 0.6),
        "kernel": 5,
        "padding": 1,
        "batch_norm": "before",
    }


def augmentation() -> dict[str, Any]:
    """Random shift (pixels), rotation (degrees) and zoom (fraction) of each training image."""
    return {
        "shift": tune.uniform(0.0, 2.0),
        "rotation": tune.uniform(0.0, 20.0),
        "scale": tune.uniform(0.0, 0.2),
    }
