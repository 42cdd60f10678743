"""Networks without autograd in a stack."""

import numpy as np
import pytest
import torch
from torch import nn

from tests.refusals import refused
from tests.trainables.cases import next_order
from tests.trainables.same import assert_identical
from trainables.models.backprop import BackpropConfig
from trainables.models.pairs.backprop import PairBackpropConfig
from trainables.stack.stack import FoldStack, Member
from trainables.tasks import disc
from trainables.variants import VARIANTS

DATA = disc.draw(0, 60, 10).train
SIZES = (41, 40, 41)


def members(*configs, seed=5):
    return [
        Member(
            config=config,
            train=np.arange(SIZES[i]),
            held_out=np.arange(SIZES[i], 60),
            seed=seed + i,
        )
        for i, config in enumerate(configs)
    ]


def stack_of(members):
    return FoldStack(VARIANTS["disc_relu"].model, members, DATA, task=disc.TASK)


def stack(*configs):
    return stack_of(members(*configs))


def config(**values):
    return BackpropConfig(**{"hidden": 6, "batch_size": 9, "epochs": 3, "lr": 0.3, **values})


@pytest.mark.parametrize("optimiser", ["sgd", "momentum", "adagrad", "rmsprop"])
@pytest.mark.parametrize("criterion", ["cross_entropy", "mse"])
def test_members_together_are_members_alone(optimiser, criterion):
    kind = {"optimiser": optimiser, "criterion": criterion, "batch_norm": optimiser == "sgd"}
    kind["lr"] = 0.05
    configs = [config(**kind, weight_decay=decay) for decay in (0.0, 0.01)]
    together = stack(*configs)
    for _ in range(3):
        values = together.train_epoch()
    for i, member in enumerate(members(*configs)):
        if i == 1 and kind["batch_norm"]:
            continue  # a row of weight 0 pads its last batch, and batch-norm sees that row
        alone = stack_of([member])
        for _ in range(3):
            own = alone.train_epoch()
        for mine, theirs in ((own.train, values.train), (own.held_out, values.held_out)):
            np.testing.assert_allclose(mine["loss"][0], theirs["loss"][i], rtol=1e-4)


def test_a_network_trains_as_the_same_one_with_autograd():
    """Compares with the same batches, loss and steps in `torch.nn`, for one epoch."""
    one = config(weight_decay=0.02)
    handwritten = stack(one)
    net = nn.Sequential(
        nn.Linear(2, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(),
        nn.Linear(6, 2),
    )  # fmt: skip
    start = {k: v[0] for k, v in handwritten.engine.state_dict()["network"].items()}
    net.load_state_dict(start)
    order, _ = next_order(handwritten)
    points, target = (torch.tensor(a) for a in (DATA.inputs["points"], DATA.targets["target"]))
    mean, std = (constant[0] for constant in handwritten.rows.constants["points"])
    for index in order[0].split(9):
        x = (points[index] - mean) / std
        loss = nn.functional.cross_entropy(net(x), target[index])
        loss = loss + 0.02 * sum(p.square().sum() for p in net.parameters() if p.ndim == 2)
        net.zero_grad()
        loss.backward()
        with torch.no_grad():
            for p in net.parameters():
                p -= 0.3 * p.grad
    handwritten.train()
    ours = handwritten.engine.state_dict()["network"]
    for name, p in net.state_dict().items():
        torch.testing.assert_close(ours[name][0], p, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("optimiser", ["sgd", "momentum", "adagrad", "rmsprop"])
def test_a_checkpoint_goes_on_as_if_nothing_had_been(optimiser):
    kind = config(optimiser=optimiser, lr=0.01, batch_norm=True)
    whole = stack(kind, kind)
    whole.train()
    state = whole.state_dict()
    later = [whole.train_epoch() for _ in range(2)][-1]
    resumed = stack(kind, kind)
    resumed.load_state_dict(state)
    again = [resumed.train_epoch() for _ in range(2)][-1]
    assert_identical(vars(later), vars(again))


def test_answers_agree_with_the_accuracy():
    trained = stack(config(), config())
    accuracy = trained.train_epoch().held_out["accuracy"]
    for i, said in enumerate(trained.predict()):
        right = said["answer"] == DATA.targets["target"][trained.members[i].held_out]
        assert right.mean() == pytest.approx(accuracy[i])


def test_members_of_different_optimisers_are_refused():
    with pytest.raises(ValueError, match="must share criterion and optimiser"):
        stack(config(), config(optimiser="momentum"))


@pytest.mark.parametrize(
    "values", [{"dropout": 0.1}, {"lr_decay": 0.9}, {"precision": "bfloat16"}]
)
def test_what_the_library_lacks_is_refused(values):
    with refused("config.value-refused", field=next(iter(values))):
        config(**values)


@pytest.mark.parametrize("kind", [BackpropConfig, PairBackpropConfig])
@pytest.mark.parametrize("field", ["label_smoothing", "main_weight", "aux_weight"])
def test_values_of_other_losses_are_no_fields(kind, field):
    with refused("config.field-unknown", unknown=field):
        kind.from_dict({field: 0.1})


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", 0.3),
        ("exponential", 0.3 * np.exp(-0.24)),
        ("time", 0.3 / 1.24),
        ("step", 0.15),
    ],
)
def test_the_learning_rate_follows_the_schedule(schedule, expected):
    assert config(schedule=schedule, schedule_rate=0.02).lr_at(12) == pytest.approx(expected)
