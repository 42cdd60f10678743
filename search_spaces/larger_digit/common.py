"""Common domains of the spaces; each contains the values of the baselines."""

from typing import Any

from ray import tune

from search_spaces.conditions import when


def optimisation() -> dict[str, Any]:
    """Learning rate and its schedule, weight decay, batch size, epochs."""
    return {
        "lr": tune.loguniform(1e-3, 2e-2),
        "weight_decay": tune.uniform(0.0, 5e-4),
        "batch_size": tune.lograndint(32, 129),  # 32..128: Tune's upper bound is exclusive
        "lr_schedule": tune.choice(["cosine", "constant"]),
        "epochs": 30,
    }


def convolutions() -> dict[str, Any]:
    """Channels, kernels and dropout of two blocks, and the linear layer after them."""
    return {
        "channels": tune.qrandint(16, 64, 8),  # multiples of 8 suit vector units
        "kernel": tune.choice([3, 5]),
        "padding": when("kernel", 5, 1),  # gives the output size of a 3x3 kernel without padding
        "hidden_layers": tune.randint(0, 2),
        "hidden": when("hidden_layers", 1, tune.qrandint(32, 256, 32)),
        "dropout": tune.uniform(0.0, 0.4),
        "batch_norm": "before",
    }


def convolutional_branches() -> dict[str, Any]:
    """Channels and dropout of two blocks of 3x3 kernels, whose output is the digits' scores."""
    return {
        "channels": tune.qrandint(16, 64, 8),
        "kernel": 3,
        "padding": 0,
        "hidden_layers": 0,
        "dropout": tune.uniform(0.0, 0.25),
        "batch_norm": "before",
    }


def lenet() -> dict[str, Any]:
    """Domains of `convolutions` and more options of LeNets: two linear layers, no batch-norm."""
    return {
        "channels": tune.qrandint(16, 64, 8),
        "kernel": tune.choice([3, 5]),
        "padding": when("kernel", 5, 1),
        "hidden": tune.choice([64, 128, 256, (120, 84)]),
        "dropout": tune.uniform(0.0, 0.4),
        "channel_dropout": tune.choice([False, True]),
        "batch_norm": tune.choice(["before", "none"]),
        "shuffle": tune.choice([True, False]),
    }


def perceptrons() -> dict[str, Any]:
    """Width, depth and dropout of linear layers with batch-norm."""
    return {
        "hidden": tune.choice([64, 128, 256, 512, (128, 64)]),
        "hidden_layers": when("hidden", {64, 128, 256, 512}, tune.randint(1, 4)),
        "dropout": tune.uniform(0.0, 0.4),
        "batch_norm": True,
    }


def head() -> dict[str, Any]:
    """Hidden layer of the head, which compares the two branches."""
    return {"head_hidden": 64, "head_batch_norm": tune.choice([False, True])}


def auxiliary() -> dict[str, Any]:
    """Weight of each digit loss, beside 1 for the comparison; digits between branch and head."""
    return {"aux_weight": tune.loguniform(0.05, 5.0), "digits": "path"}


def augmentation() -> dict[str, Any]:
    """Random shift (pixels), rotation (degrees) and zoom (fraction) of each training image."""
    return {
        "shift": tune.uniform(0.0, 1.5),
        "rotation": tune.uniform(0.0, 15.0),
        "scale": tune.uniform(0.0, 0.15),
    }
