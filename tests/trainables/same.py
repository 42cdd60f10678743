"""Assertions that two states, or the metrics of two epochs, are equal."""

import numpy as np
import torch

CLOCK = {"time", "train_time_s"}


def assert_identical(one, other):
    """Assert that tensors are equal bit for bit, numbers and names equal; ignore clock times."""
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, np.ndarray):
        np.testing.assert_array_equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one.keys() - CLOCK:
            assert_identical(one[key], other[key])
    elif isinstance(one, list):
        for mine, theirs in zip(one, other, strict=True):
            assert_identical(mine, theirs)
    else:
        assert one == other


def assert_same_state(one, other, *, tol=1e-5):
    """Assert that the states of two stacks are equal up to rounding."""
    assert one["num_steps"] == other["num_steps"]
    assert one["epoch"] == other["epoch"]
    for part in ("params", "buffers"):
        assert one[part].keys() == other[part].keys()
        for name, value in one[part].items():
            torch.testing.assert_close(value, other[part][name], rtol=tol, atol=tol)
    for part in ("exp_avg", "exp_avg_sq"):
        for mine, theirs in zip(one[part], other[part], strict=True):
            torch.testing.assert_close(mine, theirs, rtol=tol, atol=tol)


def assert_same_metrics(one, other):
    """Assert that the metrics of two epochs are equal up to rounding."""
    assert one.epoch == other.epoch
    assert one.main_part == other.main_part
    for mine, theirs in ((one.train, other.train), (one.held_out, other.held_out)):
        assert mine.keys() == theirs.keys()
        for name, values in mine.items():
            np.testing.assert_allclose(values, theirs[name], rtol=1e-5)
