"""Contract of every search space; a new row is tested without new code."""

import random
from dataclasses import fields

import numpy as np
import pytest
from ray.tune.search.sample import Domain

from search_spaces.loading import SPACES, TUNED
from tests.trainables.cases import is_tagged, random_inputs, scores_of
from trainables.presets.registry import PRESETS
from trainables.variants import VARIANTS

NUM_SAMPLES = 12


@pytest.fixture(params=TUNED)
def name(request):
    return request.param


@pytest.fixture
def space(name):
    return TUNED[name]()


@pytest.fixture
def samples(space):
    """Points as random search draws them."""
    np.random.seed(0)  # noqa: NPY002 (what ray's domains draw from)
    random.seed(0)
    draw = lambda: {key: domain.sample() for key, domain in space.searched.items()}
    return [draw() for _ in range(NUM_SAMPLES)]


def test_a_space_has_its_name_and_its_variant(name, space):
    assert space.name == name
    assert space.variant is VARIANTS[name]
    assert space.file is None


def test_every_variant_has_a_space():
    assert set(TUNED) == set(VARIANTS)


@pytest.mark.parametrize("name", SPACES)
def test_keys_are_fields_of_the_configuration(name):
    space = SPACES[name]()
    assert space.name == name
    known = {field.name for field in fields(space.variant.config)}
    assert {*space.domains, *space.grid} <= known
    assert all(isinstance(domain, Domain) for domain in space.searched.values())


def test_every_sampled_point_is_a_configuration(space, samples):
    for values in samples:
        config = space.complete(values)
        assert all(getattr(config, key) == value for key, value in space.active(values).items())
        auxiliary = getattr(config, "aux_weight", 0.0) > 0
        assert auxiliary == is_tagged(space.variant, "auxiliary")


def test_a_sampled_point_is_a_network(space, samples):
    variant = space.variant
    model = variant.model(space.complete(samples[0]))
    assert scores_of(model, random_inputs(variant, 3)).comparison.isfinite().all()


def test_samples_differ_in_every_searched_key(space, samples):
    for key in space.searched:
        assert len({values[key] for values in samples}) > 1


def test_points_are_networks(space):
    for point in space.points:
        space.variant.model(space.complete(point.config, epochs=2))


@pytest.mark.parametrize("name", [name for name in TUNED if name != "cnn_digit_deep"])
def test_the_first_point_is_a_reports_own(space):
    variant = space.variant
    first = space.points[0]
    preset = PRESETS[first.name]
    assert preset.variant == variant.name
    epochs = preset.config["epochs"]
    assert space.complete(first.config, epochs=epochs) == variant.config.from_dict(preset.config)


@pytest.mark.parametrize("name", SPACES)
def test_a_space_is_made_again_each_time(name):
    """Ray's domains are mutable, so two spaces must not share them."""
    one, other = SPACES[name](), SPACES[name]()
    assert all(one.searched[key] is not other.searched[key] for key in one.searched)
