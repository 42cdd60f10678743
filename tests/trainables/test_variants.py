"""What every variant of the registry must hold; a new row is tested without new code."""

import random

import numpy as np
import pytest
import torch

from search_spaces.loading import SPACES
from trainables.losses import batch_sums
from trainables.models.layers import num_params
from trainables.presets import PRESETS
from trainables.stack.stack import FoldStack, Member
from trainables.variants import VARIANTS

NUM_SAMPLES = 3


def sampled(space, seed):
    """Points of a search space, as random search would draw them."""
    np.random.seed(seed)  # noqa: NPY002 (what ray's domains draw from)
    random.seed(seed)
    return space.complete({key: domain.sample() for key, domain in space.searched.items()})


def cases():
    for variant in VARIANTS.values():
        yield pytest.param(variant, None, id=f"{variant.name}-small")
        for preset in PRESETS.values():
            if preset.variant == variant.name:
                yield pytest.param(
                    variant, variant.config.from_dict(preset.config), id=preset.name
                )
    for name, space in SPACES.items():
        for seed in range(NUM_SAMPLES):
            config = sampled(space(), seed)
            yield pytest.param(space().trainable.variant, config, id=f"{name}-sample{seed}")


@pytest.fixture(params=[pytest.param(case.values, id=case.id) for case in cases()])
def case(request, small_config):
    variant, config = request.param
    return variant, small_config(variant) if config is None else config


def test_a_variant_is_registered_under_its_name(variant):
    assert VARIANTS[variant.name] is variant


def test_scores_have_their_shapes_and_are_finite(case):
    variant, config = case
    model = variant.model(config)
    for mode in (model.train(), model.eval()):
        scores = mode(torch.randn(5, 2, 14, 14))
        assert scores.comparison.shape == (5, getattr(config, "outputs", 2))
        assert scores.comparison.isfinite().all()
        assert (scores.digits is not None) == variant.auxiliary
        if variant.auxiliary:
            assert scores.digits.shape == (5, 2, 10)
            assert scores.digits.isfinite().all()


def test_every_parameter_gets_a_gradient(case):
    variant, config = case
    torch.manual_seed(0)
    model = variant.model(config)
    weights = (
        torch.tensor(config.main_weight),
        torch.tensor(config.aux_weight),
        torch.tensor(0.0),
    )
    for _ in range(2):  # a unit may be dropped or dead once
        classes, target = torch.randint(10, (40, 2)), torch.randint(2, (40,))
        scores = model(torch.randn(40, 2, 14, 14))
        batch_sums(scores, classes, target, torch.ones(40), weights)[0].backward()
    without = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert not without


def test_encoders_are_shared_as_the_variant_says(case):
    variant, config = case
    branches = getattr(variant.model(config), "branches", None)
    if branches is None:
        assert not variant.weight_sharing
    else:
        assert len(branches) == (1 if variant.weight_sharing else 2)


def test_a_network_depends_on_the_seed_only(case):
    variant, config = case
    states = []
    for noise in (1, 2):
        torch.rand(noise)
        torch.manual_seed(5)
        states.append(variant.model(config).state_dict())
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_weights_and_rates_do_not_change_a_networks_size(variant, small_config):
    one = variant.model(small_config(variant, dropout=0.1, lr=0.1))
    other = variant.model(small_config(variant, dropout=0.6, weight_decay=0.1))
    assert num_params(one) == num_params(other)


def test_a_variant_learns(variant, data, small_config):
    """Most of forty pairs by heart; guessing would get about half of them."""
    config = small_config(variant, lr=0.004, epochs=40, batch_size=10)
    everything = np.arange(40)
    member = Member(config=config, train=everything, held_out=everything, seed=0)
    stack = FoldStack(variant.model, [member], data.train)
    for _ in range(config.epochs):
        metrics = stack.train_epoch()
    assert metrics.held_out_accuracy[0] >= 0.85
