"""Random numbers of batches equal those of earlier sweeps, for any way of drawing them."""

import numpy as np
import pytest
import torch

from trainables.data.batches import batches
from trainables.stack import batches as module
from trainables.stack.batches import padded, uniform


def generators():
    return [torch.Generator().manual_seed(seed) for seed in (3, 4)]


@pytest.mark.parametrize("at_once", [1, 100, 250, 10**6])
def test_numbers_do_not_depend_on_how_many_are_drawn_at_a_time(at_once, monkeypatch):
    monkeypatch.setattr(module, "DRAWN_AT_ONCE", at_once)
    parts = list(batches(28, 9))
    together = list(uniform(generators(), parts, 11))
    each = generators()
    assert [part.stop - part.start for part in parts] == [9, 9, 10]
    for part, drawn in zip(parts, together, strict=True):
        alone = [torch.rand((part.stop - part.start) * 11, generator=g) for g in each]
        assert torch.equal(drawn, torch.stack(alone))


def test_shorter_rows_are_filled_up_by_their_first_entry():
    index, weight = padded([np.array([5, 6, 7]), np.array([8, 9])], torch.device("cpu"))
    assert index.tolist() == [[5, 6, 7], [8, 9, 8]]
    assert weight.tolist() == [[1, 1, 1], [1, 1, 0]]
