import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.refusals import refused
from tests.trainables.backprop.reference import our_network, randn, seeds, stacked
from trainables.backprop.activations import ReLU, Tanh
from trainables.backprop.layers import Linear
from trainables.backprop.losses import CRITERIA, CrossEntropy, l2_penalty
from trainables.backprop.optimisers import OPTIMISERS, Momentum
from trainables.backprop.schedules import SCHEDULES
from trainables.backprop.sequential import Sequential
from trainables.backprop.training import train


def disc(n, generator):
    """Points of the unit square; class 1 inside a disc of half its area."""
    points = torch.rand(n, 2, generator=generator)
    inside = (points - 0.5).square().sum(-1) < 1 / (2 * torch.pi)
    return points, inside.long()


@pytest.fixture
def discs():
    generator = torch.Generator().manual_seed(0)
    return *disc(200, generator), *disc(100, generator)


def test_a_network_learns_the_disc():
    torch.manual_seed(1)
    network = Sequential.stack([our_network([2, 25, 25, 25]) for _ in range(2)])
    generator = torch.Generator().manual_seed(0)
    history = train(
        network,
        *disc(1000, generator),
        *disc(1000, generator),
        epochs=30,
        lr=0.05,
        schedule="exponential",
        lr_decay=0.1,
        batch_size=50,
        optimiser="adagrad",
        test_history=True,
        generator=generator,
    )
    assert history.test_accuracy.shape == (30, 2)
    assert (history.test_accuracy[-1] >= 0.95).all()
    assert (history.test_loss[-1] < history.test_loss[0]).all()


@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize("criterion", CRITERIA)
def test_zero_initialisation_leaves_hidden_units_equal(criterion, optimiser, discs):
    network = Sequential(
        [Linear(2, 4, "zero"), Tanh(), Linear(4, 3, "zero"), ReLU(), Linear(3, 2, "zero")]
    )
    train(network, *discs, epochs=3, lr=0.1, criterion=criterion, optimiser=optimiser)
    for name, value in network.parameters().items():
        if not name.startswith("4."):
            torch.testing.assert_close(value, value[:1].expand_as(value))
    assert not network.parameters()["0.weight"].any()


@pytest.mark.parametrize("members", [(), (3,), (2, 3)])
@pytest.mark.parametrize("train_history", [True, False])
@pytest.mark.parametrize("test_history", [True, False])
def test_histories_have_a_row_for_each_epoch(members, train_history, test_history, discs):
    history = train(
        stacked(lambda: our_network([2, 3], batch_norm=True), members).to(dtype=torch.float32),
        *discs,
        epochs=4,
        lr=0.1,
        train_history=train_history,
        test_history=test_history,
    )
    for asked, curves in (
        (train_history, (history.train_loss, history.train_accuracy)),
        (test_history, (history.test_loss, history.test_accuracy)),
    ):
        for curve in curves:
            assert curve.shape == (4, *members) if asked else curve is None


@given(schedule=st.sampled_from(list(SCHEDULES)), members=st.sampled_from([(), (2,)]), seed=seeds)
def test_training_is_its_loop_by_hand(schedule, members, seed):
    torch.manual_seed(seed)
    network = stacked(lambda: our_network([2, 3], batch_norm=True), members)
    inputs, targets = randn(*members, 7, 2), torch.randint(2, (*members, 7))
    tests = randn(*members, 4, 2), torch.randint(2, (*members, 4))
    state = network.state_dict()
    history = train(
        network,
        inputs,
        targets,
        *tests,
        epochs=12,
        lr=0.2,
        schedule=schedule,
        lr_decay=0.1,
        weight_decay=0.01,
        batch_size=3,
        optimiser="momentum",
        train_history=True,
        test_history=True,
        generator=torch.Generator().manual_seed(seed),
    )
    trained = network.state_dict()
    network.load_state_dict(state)
    generator = torch.Generator().manual_seed(seed)
    descent, loss = Momentum(), CrossEntropy()
    for e in range(12):
        lr = {
            "constant": 0.2,
            "exponential": 0.2 * 0.9048374180359595**e,
            "time": 0.2 / (1 + 0.1 * e),
            "step": 0.2 if e < 10 else 0.1,
        }[schedule]
        order = torch.randperm(7, generator=generator)
        network.train()
        for rows in (order[:3], order[3:]):  # a single row left over joins the last batch
            loss.forward(network.forward(inputs[..., rows, :]), targets[..., rows])
            network.backward(loss.backward())
            network.step(descent, lr, 0.01)
        network.eval()
        scores = network.forward(inputs)
        value = loss.forward(scores, targets) + l2_penalty(network.weights(), 0.01)
        torch.testing.assert_close(history.train_loss[e], value)
        hits = (scores.argmax(-1) == targets).double().mean(-1)
        torch.testing.assert_close(history.train_accuracy[e], hits)
        scores = network.forward(tests[0])
        torch.testing.assert_close(history.test_loss[e], loss.forward(scores, tests[1]))
        hits = (scores.argmax(-1) == tests[1]).double().mean(-1)
        torch.testing.assert_close(history.test_accuracy[e], hits)
    for name, value in network.state_dict().items():
        torch.testing.assert_close(trained[name], value)


@pytest.mark.parametrize("batch_norm", [True, False])
def test_rows_for_all_members_are_rows_of_each(batch_norm, discs):
    torch.manual_seed(0)
    networks = [our_network([2, 3], batch_norm=batch_norm) for _ in range(3)]
    own = [t.expand(3, *t.shape) for t in discs]
    states = []
    for data in (discs, own):
        network = Sequential.stack(networks)
        generator = torch.Generator().manual_seed(0)
        rates = torch.tensor([0.1, 0.2, 0.3])
        train(network, *data, epochs=2, lr=rates, weight_decay=rates / 9, generator=generator)
        states.append(network.state_dict())
    for name, value in states[0].items():
        torch.testing.assert_close(value, states[1][name])


def test_orders_come_from_the_generator_or_from_torchs_global_one(discs):
    flats = []
    for seed, generator in (
        (1, None),
        (1, None),
        (2, None),
        (2, torch.Generator().manual_seed(1)),
    ):
        torch.manual_seed(0)
        network = our_network([2, 3])
        torch.manual_seed(seed)
        train(network, *discs, epochs=2, lr=0.5, generator=generator)
        flats.append(network.flat)
    assert torch.equal(flats[0], flats[1])
    assert torch.equal(flats[0], flats[3])
    assert not torch.equal(flats[0], flats[2])


@pytest.mark.parametrize("name", ["schedule", "criterion", "optimiser"])
def test_unknown_names_are_refused(name, discs):
    with refused("backprop-names.unknown", what=name, name="bogus"):
        train(our_network([2, 3]), *discs, epochs=1, lr=0.1, **{name: "bogus"})


@pytest.mark.parametrize("name", ["epochs", "batch_size"])
def test_training_needs_epochs_and_rows(name, discs):
    with pytest.raises(ValueError, match=f"at least 1: .*{name}=0"):
        train(our_network([2, 3]), *discs, **({"epochs": 1, "lr": 0.1} | {name: 0}))
