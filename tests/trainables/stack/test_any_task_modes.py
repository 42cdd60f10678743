"""Any task in bfloat16, with CUDA graphs, and resumed from a checkpoint."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.trainables.same import assert_identical
from tests.trainables.stack.any_task import MODES, stack_of
from tests.trainables.stack.recorded import recorded
from trainables.stack.adam import StackedAdam
from trainables.stack.graphed import GraphedEngine


def in_bfloat16(case):
    return replace(case, config=replace(case.config, precision="bfloat16"))


def test_every_task_is_learnt_in_bfloat16(any_case):
    """The losses are close to those in float32, but not equal to the bit."""
    whole, rounded = stack_of(any_case), stack_of(in_bfloat16(any_case))
    for _ in range(2):
        one, other = rounded.train_epoch(), whole.train_epoch()
        np.testing.assert_allclose(one.train["loss"], other.train["loss"], rtol=0.05)
        assert not np.array_equal(one.train["loss"], other.train["loss"])


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("mode", MODES)
def test_every_task_continues_from_a_state(case, mode, precision):
    case = in_bfloat16(case) if precision == "bfloat16" else case
    through, resumed = stack_of(case, mode=mode), stack_of(case, mode=mode)
    through.train_epoch()
    resumed.load_state_dict(through.state_dict())
    assert_identical(vars(through.train_epoch()), vars(resumed.train_epoch()))
    assert_identical(through.state_dict(), resumed.state_dict())


def test_recorded_steps_of_every_task_are_fused_steps(case, monkeypatch):
    """Uses the stand-in for CUDA graphs on a CPU, with which Adam updates all members at once."""
    monkeypatch.setattr(StackedAdam, "step", lambda adam, lr: adam.update(*adam.advance(lr)))
    fused, graphed = stack_of(case, mode="fused"), stack_of(case, mode="fused")
    graphed.engine = GraphedEngine(graphed.engine, recorded)
    for _ in range(2):
        assert_identical(vars(graphed.train_epoch()), vars(fused.train_epoch()))
        assert_identical(graphed.state_dict(), fused.state_dict())
    assert graphed.engine.graphs
    assert_identical(graphed.predict(), fused.predict())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_graphs_of_every_task_are_fused_steps_on_a_gpu(case):
    def on(mode):
        return stack_of(case, mode=mode, device="cuda")

    fused, graphed = on("fused"), on("graphed")
    for _ in range(2):
        one, other = graphed.train_epoch(), fused.train_epoch()
        np.testing.assert_allclose(one.train["loss"], other.train["loss"], rtol=1e-4)
    assert graphed.engine.graphs
