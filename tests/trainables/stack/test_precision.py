"""bfloat16 changes only the rounding. Processors without bfloat16 compute the same, slowly."""

import statistics

import numpy as np
import pytest
import torch

from tests.trainables.same import assert_identical
from tests.trainables.stack.recorded import recorded
from trainables.data.folds import stratified_folds
from trainables.data.images import load_images
from trainables.data.pairs import draw_pairs
from trainables.models.pairs.perceptron import PerceptronConfig
from trainables.models.pairs.variants import CNN_WS_AUX, MLP
from trainables.stack.graphed import GraphedEngine
from trainables.stack.precision import has_bfloat16
from trainables.trial import Context, CrossValidation


@pytest.fixture
def rounded(full_config, make_stack):
    """Function that builds a stack of three members in bfloat16, with all options switched on."""

    def build(variant, mode="auto", **values):
        config = full_config(variant, precision="bfloat16", **values)
        return make_stack(variant, [config] * 3, mode=mode)

    return build


@pytest.mark.parametrize("mode", ["fused", "looped"])
def test_a_variant_learns_the_same_in_bfloat16_and_stays_in_float32(
    torch_variant, mode, rounded, full_config, make_stack
):
    stack = rounded(torch_variant, mode)
    whole = make_stack(torch_variant, [full_config(torch_variant)] * 3, mode=mode)
    mine, theirs = stack.train_epoch(), whole.train_epoch()
    for one, other in ((mine.train, theirs.train), (mine.held_out, theirs.held_out)):
        np.testing.assert_allclose(one["loss"], other["loss"], rtol=0.05)
    assert not np.array_equal(mine.train["loss"], theirs.train["loss"])
    state = stack.state_dict()
    floats = [*state["params"].values(), *state["exp_avg"], *state["exp_avg_sq"]]
    floats += [buffer for buffer in state["buffers"].values() if buffer.is_floating_point()]
    assert {tensor.dtype for tensor in floats} == {torch.float32}


@pytest.mark.parametrize("mode", ["fused", "looped"])
def test_a_resumed_stack_goes_on_to_the_last_bit(family, mode, rounded):
    through, resumed = rounded(family, mode), rounded(family, mode)
    through.train_epoch()
    resumed.load_state_dict(through.state_dict())
    assert_identical(vars(through.train_epoch()), vars(resumed.train_epoch()))
    assert_identical(through.state_dict(), resumed.state_dict())


@pytest.mark.parametrize("mode", ["fused", "looped"])
def test_answers_are_those_that_were_counted(family, mode, rounded):
    stack = rounded(family, mode)
    accuracy = stack.train_epoch().held_out["accuracy"]
    target = stack.rows.targets["target"].numpy()
    hits = [
        (said["answer"] == target[member.held_out]).mean()
        for said, member in zip(stack.predict(), stack.members, strict=True)
    ]
    np.testing.assert_allclose(hits, accuracy, rtol=1e-6)


def test_graphs_round_as_fused_steps_do(rounded):
    fused, graphed = rounded(CNN_WS_AUX, "fused"), rounded(CNN_WS_AUX, "fused")
    graphed.engine = GraphedEngine(graphed.engine, recorded)
    mine, theirs = graphed.train_epoch(), fused.train_epoch()
    np.testing.assert_allclose(mine.train["loss"], theirs.train["loss"], rtol=1e-5)


def test_members_of_a_stack_share_their_precision(make_stack):
    configs = [PerceptronConfig(), PerceptronConfig(precision="bfloat16")]
    with pytest.raises(ValueError, match="share precision"):
        make_stack(MLP, configs)


def test_whether_the_processor_has_it_is_read_from_its_flags(monkeypatch):
    for flags, has in [({"avx512_bf16": True}, True), ({"amx_bf16": False}, False), ({}, False)]:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda flags=flags: flags)
        assert has_bfloat16() is has


@pytest.mark.slow
def test_scores_in_bfloat16_equal_those_in_float32_within_noise():
    data = draw_pairs(load_images("digits")[0], seed=1, train_pairs=300, test_pairs=10)
    folds = stratified_folds(data.train.targets["target"], num_folds=3, seed=0)
    values = {"channels": 8, "hidden": 16, "digits": "path", "head_hidden": 16, "aux_alpha": 0.5}
    values |= {"lr": 0.03, "epochs": 4, "batch_size": 25, "batch_norm": "before"}
    scores = {}
    for precision in ("float32", "bfloat16"):
        config = CNN_WS_AUX.config.from_dict({**values, "precision": precision})
        scores[precision] = []
        for number in range(5):
            context = Context(data=data, folds=folds, seed=0)
            trial = CrossValidation(CNN_WS_AUX, config, context, number)
            trial.advance(config.epochs)
            scores[precision].append(statistics.fmean(trial.by_fold["val_accuracy"]))
    differences = [a - b for a, b in zip(*scores.values(), strict=True)]
    error = statistics.stdev(differences) / len(differences) ** 0.5
    assert min(map(statistics.fmean, scores.values())) > 0.65
    assert error < 0.03, "a difference that matters would not be seen"
    assert abs(statistics.fmean(differences)) < 3 * error
