"""Contract of every variant of the registry; a new row is tested without new code."""

import random

import numpy as np
import pytest
import torch
from torch import nn

from search_spaces.loading import TUNED
from tests.refusals import refused
from tests.trainables.cases import (
    by_autograd,
    config_of,
    distinct_networks,
    is_tagged,
    random_inputs,
    scores_of,
    size_of,
    variant_of,
)
from trainables.backprop.losses import CRITERIA
from trainables.models.pairs.digit import DeepDigitNet
from trainables.stack.engine import belongs
from trainables.stack.scoring import Scorer
from trainables.stack.stack import FoldStack, Member
from trainables.tasks import disc
from trainables.tasks.task import DataRequest
from trainables.variants import TASKS, VARIANTS, variant_named


def sampled(space):
    """Configuration from a search space, drawn as random search does."""
    np.random.seed(0)  # noqa: NPY002 (what ray's domains draw from)
    random.seed(0)
    return space.complete({key: domain.sample() for key, domain in space.searched.items()})


def cases():
    for variant in VARIANTS.values():
        yield pytest.param(variant, None, id=f"{variant.name}-small")
    for name in distinct_networks():
        yield pytest.param(variant_of(name), config_of(name), id=name)
    for name, space in TUNED.items():
        yield pytest.param(space().variant, sampled(space()), id=f"{name}-sample")


@pytest.fixture(params=[pytest.param(case.values, id=case.id) for case in cases()])
def case(request, small_config):
    variant, config = request.param
    return variant, small_config(variant) if config is None else config


def test_a_variant_is_registered_under_its_name(variant):
    assert VARIANTS[variant.name] is variant
    assert variant_named(variant.name) is variant
    assert variant_named(variant.full_name) is variant
    assert variant.full_name == f"{variant.task.name}/{variant.name}"


@pytest.mark.parametrize("name", ["resnet", "disc/mlp", "larger_digit/disc_relu", "mlp/"])
def test_an_unknown_variant_is_refused_with_the_known_ones(name):
    with refused("variants.unknown", variant=name, known=", ".join(VARIANTS)):
        variant_named(name)


def test_variants_that_ship_are_of_two_tasks(data):
    assert set(TASKS) == {"larger_digit", "disc"}
    assert all(TASKS[v.task.name].name == v.task.name for v in VARIANTS.values())
    assert VARIANTS["cnn_digit"].task.predict is not VARIANTS["cnn"].task.predict
    for task in TASKS.values():
        loaded = data if task.name == "larger_digit" else task.load(DataRequest(seed=0))
        shapes = {name: array.shape[1:] for name, array in loaded.train.inputs.items()}
        assert shapes == task.row_shapes == task.shapes(loaded).inputs


def test_scores_have_their_shapes_and_are_finite(case):
    variant, config = case
    model = variant.model(config)
    for mode in (model.train(), model.eval()):
        scores = scores_of(mode, random_inputs(variant, 5))
        assert scores.comparison.shape == (5, getattr(config, "outputs", 2))
        assert scores.comparison.isfinite().all()
        assert (scores.digits is not None) == is_tagged(variant, "auxiliary")
        if is_tagged(variant, "auxiliary"):
            assert scores.digits.shape == (5, 2, 10)
            assert scores.digits.isfinite().all()


def learning_by_autograd(variant, model, config, draw):
    """Names of the parameters that get a gradient in any phase, and names of all parameters."""
    params = dict(model.named_parameters())
    phases = {config.frozen_at(e): config.loss_weights_at(e) for e in range(config.epochs)}
    learning, scorer = set(), Scorer(variant.task)
    for frozen, (main, aux) in phases.items():
        for part in frozen:
            assert any(belongs(name, (part,)) for name in params)
        for name, p in params.items():
            p.requires_grad_(not belongs(name, frozen))
            p.grad = None
        values = {"main_weight": main, "aux_weight": aux, "label_smoothing": 0.0}
        values = {name: torch.tensor(value) for name, value in values.items()}
        for _ in range(2):  # one draw may drop a unit or leave it dead
            inputs, targets = draw()
            scorer.sums(model(inputs), targets, torch.ones(40), values, training=True)[
                0
            ].backward()
        learning |= {n for n, p in params.items() if p.grad is not None and p.grad.any()}
    return learning, set(params)


def learning_by_hand(variant, model, config, draw):
    criterion = CRITERIA[config.criterion]()
    inputs, targets = draw()
    criterion.forward(scores_of(model, inputs).comparison, targets["target"], torch.ones(40))
    model.backward(criterion.backward())
    return {n for n, g in model.gradients().items() if g.any()}, set(model.parameters())


def test_every_parameter_gets_a_gradient(case):
    variant, config = case
    torch.manual_seed(0)

    def draw():
        targets = {"classes": torch.randint(10, (40, 2)), "target": torch.randint(2, (40,))}
        return random_inputs(variant, 40), targets

    learning_in = learning_by_autograd if by_autograd(variant) else learning_by_hand
    learning, everything = learning_in(variant, variant.model(config), config, draw)
    assert learning == everything


def test_encoders_are_shared_as_the_variant_says(case):
    """In each network, the first list of modules has the encoders of the images."""
    variant, config = case
    model = variant.model(config)
    nets = model.nets if isinstance(model, DeepDigitNet) else [model]
    for net in nets:
        children = net.children() if by_autograd(variant) else ()
        lists = [child for child in children if isinstance(child, nn.ModuleList)]
        if not lists:
            assert not is_tagged(variant, "weight_sharing")
        else:
            assert len(lists[0]) == (1 if is_tagged(variant, "weight_sharing") else 2)


def test_a_network_depends_on_the_seed_only(case):
    variant, config = case
    states = []
    for noise in (1, 2):
        torch.rand(noise)
        torch.manual_seed(5)
        states.append(variant.model(config).state_dict())
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_weights_and_rates_do_not_change_a_networks_size(variant, small_config):
    rates = {"dropout": 0.6} if by_autograd(variant) else {}
    plain = small_config(variant)
    other = small_config(variant, lr=0.1, weight_decay=0.1, **rates)
    assert size_of(variant.model(plain)) == size_of(variant.model(other))


def test_a_variant_learns(variant, data_for, small_config):
    """Learns most of forty pairs by heart; guessing gets about half of them right."""
    lr = 0.1 if variant.task is disc.TASK else 0.01
    config = small_config(variant, lr=lr, epochs=40, batch_size=20)
    everything = np.arange(40)
    member = Member(config=config, train=everything, held_out=everything, seed=0)
    stack = FoldStack(variant.model, [member], data_for(variant).train, task=variant.task)
    for _ in range(config.epochs):
        stack.train()
    accuracy = stack.evaluate()["accuracy"]
    assert accuracy[0] >= 0.8
