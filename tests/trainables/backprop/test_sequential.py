import copy
import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.trainables.backprop.reference import (
    assert_close,
    assert_same_values,
    each,
    gradients_of,
    load_member,
    member_axes,
    networks,
    our_network,
    randn,
    seeds,
    stacked,
    statistics_of,
    torchs_network,
)
from trainables.backprop.activations import ACTIVATIONS, ReLU
from trainables.backprop.layers import BatchNorm, Linear
from trainables.backprop.losses import CRITERIA, CrossEntropy, l2_penalty, make_criterion
from trainables.backprop.optimisers import OPTIMISERS, SGD, make_optimiser
from trainables.backprop.sequential import Sequential


@given(spec=networks, members=member_axes, n=st.integers(2, 5), seed=seeds)
def test_networks_and_their_gradients_are_torchs(spec, members, n, seed):
    torch.manual_seed(seed)
    network = stacked(lambda: our_network(**spec), members)
    theirs = {member: torchs_network(**spec) for member in each(members)}
    for member, twin in theirs.items():
        load_member(twin, network, member)
    x, grad = randn(*members, n, spec["widths"][0]), randn(*members, n, 2)
    y, x_grad = network.forward(x), network.backward(grad)
    for member, twin in theirs.items():
        leaf = x[member].clone().requires_grad_()
        expected = twin(leaf)
        expected.backward(grad[member])
        assert_close(y[member], expected)
        assert_close(x_grad[member], leaf.grad)
        assert_same_values(network.gradients(), gradients_of(twin), member)
        assert_same_values(network.buffers(), statistics_of(twin), member)
        assert network.num_params == sum(p.numel() for p in twin.parameters())
    network.eval()
    for member, twin in theirs.items():
        assert_close(network.forward(x)[member], twin.eval()(x[member]))


@pytest.mark.parametrize("criterion", CRITERIA)
@given(spec=networks, decay=st.sampled_from([0.0, 0.03]), seed=seeds)
def test_steps_descend_the_loss_and_the_penalty(criterion, spec, decay, seed):
    """Weight decay equals the gradient of the penalty, which autograd computes as reference."""
    torch.manual_seed(seed)
    network, theirs = stacked(lambda: our_network(**spec), ()), torchs_network(**spec)
    load_member(theirs, network, ())
    matrices = [p for p in theirs.parameters() if p.dim() == 2]
    descent = torch.optim.SGD(theirs.parameters(), lr=0.1)
    ours, loss = SGD(), make_criterion(criterion)
    for _ in range(3):
        x, target = randn(4, spec["widths"][0]), torch.randint(2, (4,))
        scores = theirs(x)
        if criterion == "mse":
            expected = (scores - torch.eye(2, dtype=torch.float64)[target]).square().mean()
        else:
            expected = torch.nn.functional.cross_entropy(scores, target)
        expected = expected + decay * sum(w.square().sum() for w in matrices)
        descent.zero_grad()
        expected.backward()
        descent.step()
        value = loss.forward(network.forward(x), target)
        assert_close(value + l2_penalty(network.weights(), decay), expected)
        network.backward(loss.backward())
        network.step(ours, 0.1, decay)
        assert_same_values(network.parameters(), dict(theirs.named_parameters()), ())


def train_both(optimiser, spec, members, *, per_member, atol):
    """Train a stack, and its members one by one; yield both after each step."""
    alone = [stacked(lambda: our_network(**spec), ()) for _ in range(members)]
    together = Sequential.stack(alone)
    rates, decays = torch.rand(2, members, dtype=torch.float64) / 10
    loss, descent = CrossEntropy(), make_optimiser(optimiser)
    others = [(CrossEntropy(), make_optimiser(optimiser)) for _ in alone]
    for _ in range(3):
        x = randn(members, 4, spec["widths"][0])
        target, weight = torch.randint(2, (members, 4)), torch.ones(members, 4).double()
        weight[:, 3] = 0.0
        values = loss.forward(together.forward(x), target, weight)
        x_grad = together.backward(loss.backward())
        together.step(descent, rates if per_member else 0.1, decays if per_member else 0.05)
        for m, (network, (criterion, single)) in enumerate(zip(alone, others, strict=True)):
            value = criterion.forward(network.forward(x[m]), target[m], weight[m])
            assert_close(values[m], value, atol=atol)
            assert_close(x_grad[m], network.backward(criterion.backward()), atol=atol)
            rate, decay = (rates[m], decays[m]) if per_member else (0.1, 0.05)
            network.step(single, float(rate), float(decay))
        yield together, alone


# Before batch-norm, the gradient of a bias is rounding error, and that of some weights is tiny.
# These two divide a gradient by its own size, so only the outputs of the networks can agree.
ADAPTIVE = {"adagrad", "rmsprop"}


@pytest.mark.parametrize("optimiser", OPTIMISERS)
@given(spec=networks, members=st.sampled_from([1, 3]), per_member=st.booleans(), seed=seeds)
def test_a_stack_is_its_members_one_by_one(optimiser, spec, members, per_member, seed):
    torch.manual_seed(seed)
    spec = spec | {"batch_norm": spec["batch_norm"] and optimiser not in ADAPTIVE}
    steps = train_both(optimiser, spec, members, per_member=per_member, atol=1e-11)
    for together, alone in steps:
        for m, network in enumerate(alone):
            for name, tensor in network.state_dict().items():
                assert_close(together.state_dict()[name][m], tensor)


@pytest.mark.parametrize("optimiser", sorted(ADAPTIVE))
def test_a_stack_with_batch_norm_says_what_its_members_say(optimiser):
    torch.manual_seed(0)
    spec = {"widths": [3, 5, 4], "batch_norm": True}
    assert len(list(train_both(optimiser, spec, 3, per_member=True, atol=1e-6))) == 3


def test_a_stack_shares_nothing_with_what_it_was_made_of():
    first = our_network([2, 3], batch_norm=True)
    before = first.state_dict()
    stack = Sequential.stack([first, first])
    stack.flat.zero_()
    stack.forward(torch.randn(2, 4, 2))
    assert all(torch.equal(before[k], v) for k, v in first.state_dict().items())


def test_unequal_networks_cannot_be_stacked():
    with pytest.raises(ValueError, match=r"only equal .*Linear\(2, 3\).*Linear\(2, 4\)"):
        Sequential.stack([our_network([2, 3]), our_network([2, 4])])


def rebuilt(network, how):
    return {
        "constructed": lambda: network,
        "stacked": lambda: Sequential.stack([network, network]),
        "moved": lambda: network.to("cpu", torch.float64),
        "copied": lambda: copy.deepcopy(network),
        "pickled": lambda: pickle.loads(pickle.dumps(network)),
    }[how]()


@pytest.mark.parametrize("how", ["constructed", "stacked", "moved", "copied", "pickled"])
def test_all_that_has_a_name_is_a_view_of_the_flat_tensors(how):
    network = rebuilt(Sequential([our_network([2, 3], batch_norm=True), ReLU()]), how)
    for named, flat in (
        (network.parameters(), network.flat),
        (network.gradients(), network.flat_gradients),
    ):
        flat.copy_(torch.arange(flat.numel()).view(flat.shape))
        joined = torch.cat([t.flatten(flat.dim() - 1) for t in named.values()], dim=-1)
        assert torch.equal(joined, flat)
    for weight in network.weights():
        weight.fill_(-1.0)
    assert (network.flat == -1).sum() == sum(w.numel() for w in network.weights())
    network.parts[0].parts[0].parameters()["bias"].fill_(-2.0)
    assert network.flat.eq(-2).any()


def test_a_copy_goes_its_own_way():
    network = our_network([2, 3])
    other = pickle.loads(pickle.dumps(network))
    before = network.state_dict()
    other.backward(other.forward(torch.randn(4, 2)))
    other.step(SGD(), 0.1)
    assert all(torch.equal(before[k], v) for k, v in network.state_dict().items())
    assert not torch.equal(other.flat, network.flat)


def test_a_state_holds_parameters_and_running_statistics():
    torch.manual_seed(0)
    network, other = (Sequential.stack([our_network([2, 3], batch_norm=True)]) for _ in range(2))
    network.forward(torch.randn(1, 4, 2))
    state = network.state_dict()
    assert set(state) == {
        *(f"{layer}.{name}" for layer in (0, 3) for name in ("weight", "bias")),
        *("1.gamma", "1.beta", "1.running_mean", "1.running_var"),
    }
    other.load_state_dict(state)
    network.flat.zero_()
    x = torch.randn(1, 4, 2)
    assert not torch.equal(other.eval().forward(x), network.eval().forward(x))
    network.load_state_dict(state)
    assert torch.equal(other.forward(x), network.forward(x))


@pytest.mark.parametrize("wrong", ["name", "shape"])
def test_a_state_of_another_network_is_refused(wrong):
    network = our_network([2, 3])
    state = network.state_dict()
    if wrong == "name":
        state["1.gamma"] = torch.ones(3)
    else:
        state["0.weight"] = state["0.weight"][:1]  # would broadcast
    with pytest.raises(ValueError, match="state must have the shapes"):
        network.load_state_dict(state)


def test_a_network_reads_as_its_architecture():
    layers = [
        Linear(2, 3, init="he"),
        BatchNorm(3, learn=False),
        *(a() for a in ACTIVATIONS.values()),
    ]
    network = Sequential([Sequential(layers), Linear(3, 2)])
    assert repr(network) == (
        "Sequential(Sequential(Linear(2, 3), BatchNorm(3, momentum=0.1, eps=1e-05, learn=False), "
        "ReLU(), LeakyReLU(slope=0.01), Tanh(), Sigmoid(), Softmax()), Linear(3, 2))"
    )
    assert repr(our_network([2, 3])) == repr(our_network([2, 3]))


@pytest.mark.parametrize("modules", [[], [relu := ReLU(), Linear(2, 2), relu]], ids=len)
def test_a_network_needs_modules_each_in_one_place(modules):
    with pytest.raises(ValueError, match="needs modules, each of them only once, but has"):
        Sequential(modules)


def test_modes_reach_every_module():
    network = Sequential([our_network([2, 3], batch_norm=True), BatchNorm(2)])
    assert network.eval() is network
    assert not any(module.training for _, module in network._modules())
    assert network.train() is network
    assert all(module.training for _, module in network._modules())


def test_a_layer_works_outside_of_a_network_too():
    torch.manual_seed(0)
    layer = Linear(2, 3)
    x, grad = torch.randn(4, 2), torch.randn(4, 3)
    weight, bias = (p.clone() for p in layer.parameters().values())
    layer.forward(x)
    layer.backward(grad)
    layer.step(SGD(), 0.1, 0.5)
    moved = layer.parameters()
    torch.testing.assert_close(moved["weight"], weight - 0.1 * (grad.mT @ x + weight))
    torch.testing.assert_close(moved["bias"], bias - 0.1 * grad.sum(0))
