import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.refusals import refused
from tests.trainables.cases import next_order
from tests.trainables.same import assert_identical
from trainables.data.standardise import normalisation
from trainables.models.pairs.scores import PairConfig, Scores
from trainables.models.pairs.variants import (
    CNN,
    CNN_DIGIT,
    CNN_DISTANCE,
    CNN_WS_AUX,
    MLP,
    MLP_WS_AUX,
)
from trainables.stack.stack import FoldStack, Member, resolve_mode
from trainables.tasks.larger_digit import TASK
from trainables.tasks.task import Variant
from trainables.variants import VARIANTS

MODES = ["fused", "looped"]


def scores_of(stack, member, index):
    """Scores of a member for some rows, computed from its state alone."""
    model = CNN_WS_AUX.model(stack.members[member].config).eval()
    state = stack.state_dict()
    named = state["params"] | state["buffers"]
    model.load_state_dict({name: value[member] for name, value in named.items()})
    images = stack.rows.shared["images"]
    mean, std = normalisation(images[stack.members[member].train].numpy())
    with torch.no_grad():
        return model((images[index] - mean) / std)


@pytest.mark.parametrize("mode", MODES)
def test_held_out_metrics_are_exact_for_folds_of_any_size(mode, data, small_config, monkeypatch):
    """Evaluates four pairs at a time: batches are ragged, and members end at different times."""
    monkeypatch.setattr("trainables.stack.stack.EVALUATION_BATCH", 4)
    config = small_config(CNN_WS_AUX, batch_norm="before", label_smoothing=0.1, dropout=0.3)
    pairs = np.arange(41)
    members = [
        Member(config=config, train=np.setdiff1d(pairs, held_out), held_out=held_out, seed=i)
        for i, held_out in enumerate([pairs[:13], pairs[20:34], pairs[7:20]])
    ]
    stack = FoldStack(CNN_WS_AUX.model, members, data.train, task=TASK, mode=mode)
    metrics = stack.train_epoch()
    for m, member in enumerate(members):
        right = right_digits = 0
        loss = 0.0
        for i in member.held_out:
            scores = scores_of(stack, m, torch.tensor([i]))
            target = int(data.train.targets["target"][i])
            classes = torch.tensor(data.train.targets["classes"][i])
            right += int(scores.comparison.argmax()) == target
            right_digits += int((scores.digits[0].argmax(1) == classes).sum())
            main = F.cross_entropy(scores.comparison, torch.tensor([target]), label_smoothing=0.1)
            digits = F.cross_entropy(scores.digits[0], classes, reduction="sum")
            loss += float(0.6 * main + 0.2 * digits)
        num = len(member.held_out)
        found = metrics.held_out
        assert found["accuracy"][m] == pytest.approx(right / num, abs=1e-12)
        assert found["digit_accuracy"][m] == pytest.approx(right_digits / (2 * num))
        assert found["loss"][m] == pytest.approx(loss / num, rel=1e-4)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (MLP, {"outputs": 1}),
        (CNN_WS_AUX, {"batch_norm": "before"}),
        (CNN_DISTANCE, {}),
        (CNN_DIGIT, {}),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_answers_are_as_often_right_as_is_measured(
    mode, kind, values, data, small_config, monkeypatch
):
    monkeypatch.setattr("trainables.stack.stack.EVALUATION_BATCH", 4)
    pairs = np.arange(41)
    members = [
        Member(config=small_config(kind, **values), train=pairs[:27], held_out=held_out, seed=i)
        for i, held_out in enumerate([pairs[27:], pairs[20:29], pairs[40:]])
    ]
    stack = FoldStack(kind.model, members, data.train, task=kind.task, mode=mode)
    for _ in range(2):
        stack.train()
        accuracy = stack.evaluate()["accuracy"]
        answers = [said["answer"] for said in stack.predict()]
        assert [len(row) for row in answers] == [14, 9, 1]
        assert {answer for row in answers for answer in row.tolist()} <= {0, 1}
        for m, member in enumerate(members):
            right = (answers[m] == data.train.targets["target"][member.held_out]).mean()
            assert accuracy[m] == pytest.approx(right, abs=1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_measuring_changes_nothing(mode, family, small_config, make_stack):
    configs = [small_config(family, dropout=0.5)] * 3
    stack = make_stack(family, configs, mode=mode)
    stack.train_epoch()
    before = stack.state_dict()
    first = stack.evaluate()
    stack.predict()
    second = stack.evaluate()
    assert_identical(first, second)
    after = stack.state_dict()
    for part in ("params", "buffers"):
        assert all(torch.equal(v, after[part][n]) for n, v in before[part].items())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("family", [MLP, CNN], ids=lambda v: v.name)
def test_a_stack_is_a_plain_training_loop(family, mode, data, folds, small_config):
    """One member without augmentation and dropout trains like an ordinary PyTorch loop."""
    values = {"weight_decay": 0.01, "lr_decay": 0.5, "label_smoothing": 0.1}
    config = small_config(family, **values)
    fold = folds[2]
    member = Member(config=config, train=fold.train, held_out=fold.val, seed=3)
    stack = FoldStack(family.model, [member], data.train, task=TASK, mode=mode)
    model = family.model(config)
    model.load_state_dict({name: p[0] for name, p in stack.state_dict()["params"].items()})
    adam = torch.optim.Adam(model.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.ExponentialLR(adam, config.lr_decay)
    criterion = nn.CrossEntropyLoss(label_smoothing=config.label_smoothing)
    images = torch.tensor(data.train.inputs["images"])
    mean, std = images[fold.train].mean(), images[fold.train].std(correction=0)
    target = torch.tensor(data.train.targets["target"])
    for epoch in range(2):
        order, weight = next_order(stack)
        assert weight.min() == 1
        assert sorted(order[0].tolist()) == fold.train.tolist()
        metrics = stack.train_epoch()
        losses, right = [], 0
        batches = list(order[0].split(config.batch_size))
        if len(batches[-1]) == 1:
            batches[-2:] = [torch.cat(batches[-2:])]
        for batch in batches:
            adam.zero_grad()
            scores = model((images[batch] - mean) / std).comparison
            loss = criterion(scores, target[batch])
            loss.backward()
            adam.step()
            losses.append(loss.item() * len(batch))
            right += int((scores.argmax(1) == target[batch]).sum())
        schedule.step()
        assert metrics.epoch == epoch + 1
        assert metrics.train["loss"][0] == pytest.approx(sum(losses) / len(fold.train), rel=1e-4)
        assert metrics.train["accuracy"][0] == pytest.approx(right / len(fold.train), abs=1e-6)
    for name, p in stack.state_dict()["params"].items():
        torch.testing.assert_close(
            p[0], dict(model.named_parameters())[name].detach(), rtol=1e-3, atol=1e-4
        )


@pytest.mark.parametrize("mode", MODES)
def test_a_member_alone_is_a_member_of_a_stack(family, mode, small_config, make_stack, folds):
    """Others may have other data, seeds, weights, and augmentation that this member lacks."""
    common = {"weight_decay": 0.01, "dropout": 0.3}
    mine = small_config(family, **common)
    other = small_config(
        family, **common | {"dropout": 0.6, "lr": 0.01, "shift": 2.0, "scale": 0.2}
    )
    train = [fold.train[:27] for fold in folds]
    alone = make_stack(family, [mine], mode=mode, train=train)
    among = make_stack(family, [mine, other, other], mode=mode, train=train)
    for _ in range(2):
        one, three = alone.train_epoch(), among.train_epoch()
        for mine, theirs in ((one.train, three.train), (one.held_out, three.held_out)):
            assert mine["loss"][0] == pytest.approx(theirs["loss"][0], rel=1e-4)
    for name, p in alone.state_dict()["params"].items():
        torch.testing.assert_close(
            p[0], among.state_dict()["params"][name][0], rtol=1e-3, atol=1e-4
        )


@pytest.mark.parametrize("mode", MODES)
def test_a_row_that_fills_up_is_not_trained_on(mode, data, small_config, make_stack):
    """Without batch-norm and dropout, a member of 28 rows does not affect one of 27 rows."""
    config = small_config(MLP, batch_size=9)
    train = [np.arange(27), np.arange(28)]
    alone = make_stack(MLP, [config], mode=mode, train=train[:1])
    among = make_stack(MLP, [config] * 2, mode=mode, train=train)
    for _ in range(2):
        one, two = alone.train_epoch().train, among.train_epoch().train
        assert one["loss"][0] == pytest.approx(two["loss"][0], rel=1e-5)
        assert one["accuracy"][0] == pytest.approx(two["accuracy"][0])


@pytest.mark.parametrize("mode", MODES)
def test_numbers_do_not_depend_on_what_was_drawn_before(mode, family, small_config, make_stack):
    configs = [small_config(family, dropout=0.4, shift=1.0)] * 2
    losses = []
    for noise in (1, 5):
        torch.rand(noise)
        np.random.rand(noise)  # noqa: NPY002 (what others may have used)
        stack = make_stack(family, configs, mode=mode)
        torch.rand(noise)
        losses.append([stack.train_epoch().train["loss"] for _ in range(2)])
    np.testing.assert_array_equal(*losses)


def test_building_a_stack_leaves_the_global_generator_alone(variant, full_config, make_stack):
    before = torch.get_rng_state()
    make_stack(variant, [full_config(variant)] * 2)
    assert torch.equal(torch.get_rng_state(), before)


def test_each_epoch_has_another_order(small_config, make_stack):
    stack = make_stack(MLP, [small_config(MLP)] * 2)
    orders = []
    for _ in range(2):
        orders.append(next_order(stack)[0])
        stack.train_epoch()
    assert (orders[0] != orders[1]).any()


def test_without_shuffling_all_epochs_have_the_order_of_the_folds(small_config, make_stack, folds):
    stack = make_stack(MLP, [small_config(MLP, shuffle=False)] * 2)
    for _ in range(2):
        order, weight = next_order(stack)
        for m in range(2):
            assert order[m][weight[m] > 0].tolist() == folds[m].train.tolist()
        stack.train_epoch()


def test_a_last_batch_of_a_single_row_joins_the_one_before(small_config, make_stack):
    """Batch-norm raises on a single row."""
    config = small_config(MLP, batch_size=9, batch_norm=True)
    stack = make_stack(MLP, [config] * 2, mode="looped", train=[np.arange(28), np.arange(1, 29)])
    sizes = []
    step = stack.engine.step
    stack.engine.step = lambda batch, lr: sizes.append(batch.weight.shape[1]) or step(batch, lr)
    assert stack.train_epoch().finite
    assert sizes == [9, 9, 10]


@pytest.mark.parametrize(
    ("other", "complaint"),
    [
        ({"batch_size": 10}, "batch_size"),
        ({"epochs": 9}, "epochs"),
        ({"hidden": 9}, "architecture"),
        ({"dropout": 0.1}, "architecture"),
    ],
)
def test_members_that_cannot_be_stacked_are_refused(other, complaint, small_config, make_stack):
    with pytest.raises(ValueError, match=f"must share .*{complaint}"):
        make_stack(MLP, [small_config(MLP), small_config(MLP, **other)])


def test_members_of_very_different_sizes_are_looped(small_config, make_stack):
    train = [np.arange(20), np.arange(22)]
    stack = make_stack(MLP, [small_config(MLP)] * 2, train=train, mode="fused")
    assert stack.mode == "looped"


def test_members_of_very_different_sizes_need_autograd(small_config, make_stack):
    variant, train = VARIANTS["mlp_backprop"], [np.arange(20), np.arange(22)]
    with refused("stack.folds-unequal"):
        make_stack(variant, [small_config(variant)] * 2, train=train)


@pytest.mark.parametrize(
    ("kind", "values", "device", "expected"),
    [
        (MLP, {"batch_size": 1000}, "cpu", "fused"),
        (MLP_WS_AUX, {"batch_size": 1000}, "cpu", "fused"),
        (CNN, {"batch_size": 100}, "cpu", "fused"),
        (CNN, {"batch_size": 101}, "cpu", "looped"),
        (CNN, {"batch_size": 5, "hidden": 9999}, "cpu", "looped"),
        (CNN, {"batch_size": 1000}, "cuda", "fused"),
        (MLP, {"batch_size": 1000}, "cuda", "fused"),
    ],
    ids=str,
)
def test_the_mode_follows_model_and_device_unless_given(
    kind, values, device, expected, small_config
):
    """`auto` loops only convolutions on a CPU that are not tiny; this CNN has four channels."""
    config = small_config(kind, **values)
    model, batch_size = kind.model(config), config.batch_size
    assert resolve_mode("auto", model, torch.device(device), batch_size) == expected
    for mode in MODES:
        assert resolve_mode(mode, model, torch.device(device), batch_size) == mode


class Rows(nn.Module):
    """LSTM over the rows of a pair, for which `vmap` has no rule."""

    def __init__(self, config):
        super().__init__()
        self.rows = nn.LSTM(28, 4, batch_first=True)
        self.output = nn.Linear(4, 2)

    def forward(self, pair):
        return Scores(self.output(self.rows(pair.transpose(1, 2).flatten(2))[0][:, -1]))


ROWS = Variant(name="rows", task=TASK, model=Rows, config=PairConfig)


def test_what_cannot_be_fused_is_looped_unless_fused_is_asked_for(small_config, make_stack):
    configs = [small_config(ROWS, lr=0.01)] * 3
    chosen, looped = make_stack(ROWS, configs), make_stack(ROWS, configs, mode="looped")
    assert resolve_mode("auto", Rows(configs[0]), torch.device("cpu"), 9) == "fused"
    assert chosen.mode == "looped"
    for _ in range(2):
        one, other = chosen.train_epoch(), looped.train_epoch()
        assert one.finite
        assert_identical(vars(one), vars(other))
    with pytest.raises(RuntimeError):
        make_stack(ROWS, configs, mode="fused").train_epoch()


def test_whether_a_stack_can_be_fused_is_found_without_a_trace(small_config, make_stack):
    """`auto` tries to fuse, and then trains like `fused`, to the last bit."""
    configs = [small_config(MLP, dropout=0.3, batch_norm=True)] * 3
    chosen, fused = make_stack(MLP, configs), make_stack(MLP, configs, mode="fused")
    assert chosen.mode == "fused"
    assert_identical(vars(chosen.train_epoch()), vars(fused.train_epoch()))
