"""Graphed steps equal fused steps: with CUDA graphs on a GPU, with their stand-in elsewhere."""

import numpy as np
import pytest
import torch

from tests.trainables.cases import in_double_precision
from tests.trainables.same import assert_identical, assert_same_metrics, assert_same_state
from tests.trainables.stack.drawing import DRAWS
from tests.trainables.stack.recorded import memory, recorded
from trainables.models.pairs.scores import PairConfig
from trainables.models.pairs.variants import CNN_TRANSFER, CNN_WS_AUX, MLP
from trainables.stack.adam import StackedAdam
from trainables.stack.graphed import GraphedEngine
from trainables.stack.scoring import part_key
from trainables.stack.stack import resolve_mode

needs_cuda = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
EPOCHS = {"mlp": 2, "cnn_ws_aux": 3, "cnn_transfer": 4}


@pytest.fixture(autouse=True)
def steps_as_on_a_gpu(monkeypatch):
    """Let Adam update all members at once, which rounds differently from member by member."""
    monkeypatch.setattr(StackedAdam, "step", lambda adam, lr: adam.update(*adam.advance(lr)))


@pytest.fixture
def configs(full_config):
    """Function that builds two configurations, with all options that graphs might get wrong."""

    def build(variant):
        values = {"epochs": EPOCHS[variant.name], "batch_size": 10}
        if variant is CNN_WS_AUX:
            values |= {"aux_schedule": "linear", "lr_decay": 0.7}
        if variant is CNN_TRANSFER:
            values |= {"pretrain": 0.5}
        return [full_config(variant, **values, **more) for more in ({}, {"lr": 0.02})]

    return build


@pytest.fixture
def graphed(make_stack):
    """Function that builds a stack whose steps are recorded and replayed."""

    def build(variant, configs, *, capture=recorded, **values):
        stack = make_stack(variant, configs, mode="fused", **values)
        stack.engine = GraphedEngine(stack.engine, capture)
        return stack

    return build


def assert_same_epoch(one, other):
    """Train both stacks for an epoch; assert that they are equal to the last bit."""
    assert_identical(vars(one.train_epoch()), vars(other.train_epoch()))
    assert_identical(one.state_dict(), other.state_dict())


@pytest.mark.parametrize("variant", [MLP, CNN_WS_AUX, CNN_TRANSFER], ids=lambda v: v.name)
def test_graphed_is_fused_epoch_for_epoch(variant, configs, make_stack, graphed):
    fused = make_stack(variant, configs(variant), mode="fused")
    stack = graphed(variant, configs(variant))
    for _ in range(fused.epochs):
        assert_same_epoch(stack, fused)
        # training batches of 10 and of 8 rows (27 and 28 in total), and all held-out rows at once
        assert [key[0] for key in stack.engine.graphs] == ["train", "train", "evaluate"]
    assert_identical(stack.predict(), fused.predict())


@pytest.mark.parametrize("variant", [MLP, CNN_WS_AUX, CNN_TRANSFER], ids=lambda v: v.name)
def test_graphed_continues_what_fused_saved(variant, configs, make_stack, graphed):
    """Also if the stack already has graphs and returns to an earlier phase."""
    through = make_stack(variant, configs(variant), mode="fused")
    through.train()
    state = through.state_dict()
    late, early = graphed(variant, configs(variant)), graphed(variant, configs(variant))
    for _ in range(through.epochs):
        late.train_epoch()
    for stack in (late, early):
        stack.load_state_dict(state)
        assert_identical(stack.state_dict(), state)
    for _ in range(through.epochs - 1):
        expected = through.train_epoch()
        for stack in (late, early):
            assert_identical(vars(stack.train_epoch()), vars(expected))
            assert_identical(stack.state_dict(), through.state_dict())


def test_values_of_another_epoch_reach_the_graphs(configs, make_stack, graphed):
    """Only the loss weights change between these epochs."""
    stacks = [build(CNN_WS_AUX, configs(CNN_WS_AUX)) for build in (make_stack, graphed)]
    measured = []
    for stack in stacks:
        for epoch in (0, 2):
            stack.engine.values = stack._values(epoch)
            measured.append(stack.evaluate()[part_key("aux")])
    assert (measured[0] != measured[1]).all()
    np.testing.assert_allclose(measured[0], measured[2], rtol=1e-5)
    np.testing.assert_allclose(measured[1], measured[3], rtol=1e-5)


def test_layers_that_draw_by_themselves_draw_what_they_would_fused(make_stack, graphed):
    drawing = [PairConfig(dropout=0.5, batch_size=9)] * 2
    fused, stack = make_stack(DRAWS, drawing, mode="fused"), graphed(DRAWS, drawing)
    assert fused.noise_sizes == {}
    for _ in range(2):
        assert_same_epoch(stack, fused)


def test_graphs_read_nothing_but_what_stays(configs, graphed):
    """On a GPU, memory to which only the recording refers would belong to another tensor."""
    recorders = []

    def capture(run):
        replay, output = recorded(run)
        recorders.append(replay.__self__)
        return replay, output

    stack = graphed(CNN_WS_AUX, configs(CNN_WS_AUX), capture=capture)
    stack.train_epoch()
    fused = stack.engine.fused
    stays = [
        *fused.params.values(),
        *fused.buffers.values(),
        *fused.adam.exp_avg,
        *fused.adam.exp_avg_sq,
        fused.adam.weight_decay,
        fused.values.weight_decay,
        *fused.values.loss.values(),
        *(t for graph in stack.engine.graphs.values() for t in graph.inputs),
    ]
    known = {memory(t) for t in stays}
    assert len(recorders) == 3
    for recorder in recorders:
        assert recorder.read.keys() <= known


def test_sums_outlive_the_next_step(configs, graphed):
    stack = graphed(MLP, configs(MLP))
    lr = torch.full((2,), 0.01)
    index, weight = stack._train_rows
    first, second = (
        stack.rows.batch(index[:, part], weight[:, part]) for part in (slice(9), slice(9, 18))
    )
    sums = stack.engine.evaluate(first)
    before = {name: value.clone() for name, value in sums.items()}
    stack.engine.step(first, lr)
    stack.engine.evaluate(second)
    assert_identical(sums, before)
    assert not before["loss"].isnan().any()


@pytest.mark.parametrize("after", [0, 1])
def test_where_capturing_fails_steps_are_fused_and_one_warning_says_so(
    after, configs, make_stack, graphed
):
    """Capturing fails at once or after a run, and leaves a gradient behind."""

    def broken(run):
        for _ in range(after):
            run()
        next(iter(stack.engine.fused.params.values())).sum().backward()
        raise RuntimeError("operation not permitted\nwhen stream is capturing")

    fused = make_stack(CNN_WS_AUX, configs(CNN_WS_AUX), mode="fused")
    stack = graphed(CNN_WS_AUX, configs(CNN_WS_AUX), capture=broken)
    with pytest.warns(RuntimeWarning, match=r"\(operation not permitted\); steps are fused"):
        assert_same_epoch(stack, fused)
    assert_same_epoch(stack, fused)  # a warning would be an error


@pytest.mark.parametrize(("device", "expected"), [("cpu", "fused"), ("cuda", "graphed")])
def test_graphs_take_a_gpu_and_are_never_the_choice_of_auto(device, expected, small_config):
    model = MLP.model(small_config(MLP))
    assert resolve_mode("graphed", model, torch.device(device), 9) == expected
    assert resolve_mode("auto", model, torch.device(device), 9) == "fused"


def test_a_stack_on_a_cpu_that_asks_for_graphs_is_fused(small_config, make_stack):
    configs = [small_config(MLP)] * 2
    stack, fused = (make_stack(MLP, configs, mode=mode) for mode in ("graphed", "fused"))
    assert stack.mode == "fused"
    assert_same_epoch(stack, fused)


def on_the_gpu(variant, configs, make_stack):
    """Fused and graphed stack, in double precision since their steps may round differently."""
    doubled = in_double_precision(variant)
    return [make_stack(doubled, configs, mode=m, device="cuda") for m in ("fused", "graphed")]


@pytest.mark.parametrize(
    "variant",
    [pytest.param(v, marks=needs_cuda, id=v.name) for v in (MLP, CNN_WS_AUX, CNN_TRANSFER)],
)
def test_cuda_graphs_are_fused_steps(variant, configs, make_stack):
    fused, stack = on_the_gpu(variant, configs(variant), make_stack)
    for _ in range(fused.epochs):
        assert_same_metrics(stack.train_epoch(), fused.train_epoch())
        assert len(stack.engine.graphs) == 3
    assert_same_state(stack.state_dict(), fused.state_dict())


@pytest.mark.parametrize(
    "variant",
    [pytest.param(v, marks=needs_cuda, id=v.name) for v in (MLP, CNN_WS_AUX, CNN_TRANSFER)],
)
def test_cuda_graphs_continue_what_fused_saved(variant, configs, make_stack):
    fused, stack = on_the_gpu(variant, configs(variant), make_stack)
    fused.train()
    state = fused.state_dict()
    for _ in range(stack.epochs):
        stack.train_epoch()
    stack.load_state_dict(state)
    for _ in range(fused.epochs - 1):
        assert_same_metrics(stack.train_epoch(), fused.train_epoch())
    assert_same_state(stack.state_dict(), fused.state_dict())


@pytest.mark.parametrize("variant", [pytest.param(DRAWS, marks=needs_cuda)], ids=["draws"])
def test_layers_in_cuda_graphs_draw_what_they_would_fused(variant, make_stack):
    drawing = [PairConfig(dropout=0.5, batch_size=9)] * 2
    fused, stack = on_the_gpu(variant, drawing, make_stack)
    for _ in range(2):
        assert_same_metrics(stack.train_epoch(), fused.train_epoch())
