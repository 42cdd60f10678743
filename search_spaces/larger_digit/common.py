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


def perceptrons() -> dict[str, Any]:
    """Width, depth and dropout of linear layers with batch-norm."""
    return {
        "hidden": tune.lograndint(32, 513),
        "hidden_layers": tune.randint(1, 4),
        "dropout": tune.uniform(0.0, 0.6),
        "batch_norm": True,
    }


def head() -> dict[str, Any]:
    """What compares two branches: a hidden layer."""
    return {"head_hidden": (64,)}


def auxiliary() -> dict[str, Any]:
    """The digit losses' share, and digit scores between branch and head."""
    # a share of 0 is another variant; one of 1 trains no comparison
    return {"aux_alpha": tune.uniform(0.1, 0.9), "digits": "path"}


def augmentation() -> dict[str, Any]:
    """Random shift (pixels), rotation (degrees) and zoom (fraction) of each training image."""
    return {
        "shift": tune.uniform(0.0, 2.0),
        "rotation": tune.uniform(0.0, 20.0),
        "scale": tune.uniform(0.0, 0.2),
    }
