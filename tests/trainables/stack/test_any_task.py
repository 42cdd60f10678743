"""Stacks of any task: a stack depends on rows, but neither on classes nor on pairs."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import r2_score
from torch.nn import functional as F

from tests.refusals import refused
from tests.trainables.same import assert_identical, assert_same_metrics, assert_same_state
from tests.trainables.stack.any_task import (
    MODES,
    ROWS,
    Recurrent,
    in_double_precision,
    members_of,
    sequences,
    slope,
    stack_of,
    table,
    two,
)
from trainables.data.batches import batches
from trainables.stack.scoring import part_key
from trainables.stack.stack import Member
from trainables.tasks.metrics import Metric
from trainables.trial import over_all


def test_modes_agree(case):
    build = in_double_precision(case)
    fused, looped = (stack_of(case, mode=mode, build=build) for mode in MODES)
    assert_same_state(fused.state_dict(), looped.state_dict(), tol=0)
    for _ in range(3):
        assert_same_metrics(fused.train_epoch(), looped.train_epoch())
    assert_same_state(fused.state_dict(), looped.state_dict())
    for mine, theirs in zip(fused.predict(), looped.predict(), strict=True):
        assert mine.keys() == theirs.keys()
        for name, values in mine.items():
            np.testing.assert_allclose(values, theirs[name], rtol=1e-5, atol=1e-5)


def test_every_task_is_learnt(any_case):
    case = replace(any_case, config=replace(any_case.config, epochs=25))
    stack = stack_of(case)
    losses = [stack.train_epoch().train["loss"] for _ in range(25)]
    assert (losses[-1] < 0.8 * losses[0]).all()
    assert all(np.isfinite(loss).all() for loss in losses)


def test_a_network_that_cannot_be_fused_is_looped():
    case = sequences()
    chosen, looped = stack_of(case), stack_of(case, mode="looped")
    assert chosen.mode == "looped"
    for _ in range(2):
        assert_identical(vars(chosen.train_epoch()), vars(looped.train_epoch()))
    with pytest.raises(RuntimeError):
        stack_of(case, mode="fused").train_epoch()


@pytest.mark.parametrize("mode", MODES)
def test_a_regression_is_predicted_in_units_of_its_target(mode):
    case = slope()
    stack = stack_of(case, mode=mode)
    loss = stack.train_epoch().held_out["loss"]
    target = case.samples.targets["height"]
    found = over_all(stack, case.samples, case.task)
    for m, (member, said) in enumerate(zip(stack.members, stack.predict(), strict=True)):
        actual, scale = target[member.held_out], target[member.train].std()
        assert said["value"].shape == actual.shape
        expected = np.square((said["value"] - actual) / scale).mean()
        assert loss[m] == pytest.approx(expected, rel=1e-4)
        assert found["val_r2"][m] == pytest.approx(r2_score(actual, said["value"]))


@pytest.mark.parametrize("mode", MODES)
def test_several_targets_are_measured_apart(mode):
    case = two()
    stack = stack_of(case, mode=mode)
    values = stack.train_epoch()
    assert values.main_part == "label"
    assert set(values.train) == {"loss", part_key("level"), "accuracy", "distance"}
    targets = case.samples.targets
    for m, (member, said) in enumerate(zip(stack.members, stack.predict(), strict=True)):
        right = said["answer"] == targets["label"][member.held_out]
        apart = np.abs(said["value"] - targets["level"][member.held_out])
        assert values.held_out["accuracy"][m] == pytest.approx(right.mean())
        assert values.held_out["distance"][m] == pytest.approx(apart.mean(), rel=1e-5)


@pytest.mark.parametrize("mode", MODES)
def test_a_table_is_encoded_by_each_members_training_rows(mode):
    """A word that occurs only in held-out rows gets code 0, the code of all other words."""
    case = table()
    rows = np.arange(ROWS)
    words = case.samples.inputs["categories"][:, 0]
    seen = rows[words != words[0]]
    parts = (rows[: len(seen)], seen)
    members = [Member(config=case.config, train=t, held_out=rows[:5], seed=3) for t in parts]
    stack = stack_of(case, members, mode=mode)
    assert stack.mode == mode
    codes = [encoder({k: torch.tensor(v) for k, v in case.samples.inputs.items()})["categories"]
             for encoder in stack.rows.encoders]  # fmt: skip
    assert codes[0][0, 0] > 0
    assert codes[1][0, 0] == 0


def weighted(output, target, *, label_smoothing, class_weights=None):
    """User-defined loss by row, which gets one label smoothing for each row."""
    assert label_smoothing.shape == target.shape
    return (1 - label_smoothing) * F.cross_entropy(output, target, reduction="none")


@pytest.mark.parametrize("mode", MODES)
def test_values_of_a_users_loss_are_those_of_each_member(mode):
    case = table()
    case = replace(case, task=replace(case.task, loss=weighted, leading_axes=False))
    configs = [replace(case.config, label_smoothing=s) for s in (0.0, 0.5, 0.9)]
    members = members_of(configs, sizes=(40, 40, 40))
    together = stack_of(case, members, mode=mode).train_epoch()
    for i, member in enumerate(members):
        alone = stack_of(case, [member], mode=mode).train_epoch()
        for mine, theirs in ((alone.train, together.train), (alone.held_out, together.held_out)):
            np.testing.assert_allclose(mine["loss"][0], theirs["loss"][i], rtol=1e-4)


UNEQUAL = (20, 31, 47)


@pytest.mark.parametrize("mode", ["auto", *MODES])
def test_unequal_folds_train_exact_batches(any_case, mode):
    stack = stack_of(any_case, members_of(any_case.config, UNEQUAL), mode=mode)
    assert stack.mode == "looped"
    step, seen = stack.engine.step, {m: [] for m in range(3)}

    def watched(batch, lr, members):
        assert batch.weight.eq(1).all()
        seen[members[0]].append(batch.weight.shape)
        return step(batch, lr, members)

    stack.engine.step = watched
    stack.train()
    for m, size in enumerate(UNEQUAL):
        assert seen[m] == [(1, part.stop - part.start) for part in batches(size, 9)]


def test_unequal_members_are_members_alone(any_case):
    """Equal to the last bit, for any other members."""
    configs = [replace(any_case.config, lr=lr, weight_decay=0.01) for lr in (0.01, 0.02, 0.005)]
    members = members_of(configs, UNEQUAL)
    together = stack_of(any_case, members)
    alone = [stack_of(any_case, [member], mode="looped") for member in members]
    for _ in range(2):
        values = together.train_epoch()
        for m, one in enumerate(alone):
            own = one.train_epoch()
            for name, value in own.train.items():
                assert value[0] == values.train[name][m]
            for name, value in own.held_out.items():
                np.testing.assert_allclose(value[0], values.held_out[name][m], rtol=1e-5)
            assert_identical(one.weights(0), together.weights(m))


def test_unequal_members_continue_from_a_state(any_case):
    members = members_of(any_case.config, UNEQUAL)
    through, resumed = stack_of(any_case, members), stack_of(any_case, members)
    through.train_epoch()
    state = through.state_dict()
    assert state["num_steps"] == [len(list(batches(size, 9))) for size in UNEQUAL]
    resumed.load_state_dict(state)
    assert_identical(vars(through.train_epoch()), vars(resumed.train_epoch()))
    assert_identical(through.state_dict(), resumed.state_dict())


def mean_loss(output, target):
    return F.cross_entropy(output, target)


def loss_of_each_score(output, target):
    return output.square()


def loss_as_a_number(output, target):
    return 0.5


def loss_in_parts(output, target):
    return {"main": F.cross_entropy(output, target, reduction="none"), "more": output.mean()}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("loss", "what", "shape"),
    [
        (mean_loss, "the loss", r"\(\)"),
        (loss_of_each_score, "the loss", r"\(\d+, 3\)"),
        (loss_as_a_number, "the loss", "float"),
        (loss_in_parts, "part more of the loss", r"\(\)"),
    ],
)
def test_a_loss_that_is_not_one_number_per_row_is_refused(loss, what, shape, mode):
    case = table()
    case = replace(case, task=replace(case.task, loss=loss, leading_axes=False))
    with refused("stack-scoring.not-one-per-row", what=what) as caught:
        stack_of(case, mode=mode).train_epoch()
    assert re.fullmatch(shape, str(caught.value.values["shape"]))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("mode", MODES)
def test_parts_of_a_loss_may_keep_an_axis_of_one(mode):
    """Such as (rows, 1) beside (rows,), which would broadcast to (rows, rows)."""
    case = slope()

    def squares(output, target):
        return {"main": (output - target.unsqueeze(-1)).square(), "size": output[:, 0].square()}

    task = replace(case.task, loss=squares, leading_axes=False)
    assert stack_of(replace(case, task=task), mode=mode).train_epoch().finite


@pytest.mark.parametrize("mode", MODES)
def test_a_metric_that_is_not_one_number_per_row_is_refused(mode):
    case = table()
    metric = Metric(of=lambda output, target: output, better="higher", equal=0.1)
    metrics: dict[str, Any] = {**case.task.metrics, "odd": metric}
    case = replace(case, task=replace(case.task, metrics=metrics, leading_axes=False))
    with refused("stack-scoring.not-one-per-row", what="metric odd"):
        stack_of(case, mode=mode).train_epoch()


class Listing(Recurrent):
    """Network that returns a list, which no task accepts."""

    def forward(self, x):
        return [super().forward(x)]


@pytest.mark.parametrize("mode", ["auto", "looped"])
def test_a_network_must_return_tensors(mode):
    case = replace(sequences(), model=Listing)
    with refused("outputs.not-tensors", type="list"):
        stack_of(case, mode=mode).train_epoch()
