"""Spaces for the tests of the ledger."""

import pytest
from ray import tune

from search_spaces.space import SearchSpace
from tests.sweeps.ledger.asking import GRID, MakeSpace


@pytest.fixture
def grid_space(make_space: MakeSpace) -> SearchSpace:
    domains = {"lr": tune.loguniform(1e-4, 1e-1), "hidden": tune.randint(4, 99)}
    return make_space(domains=domains, grid=GRID, points=())


@pytest.fixture
def no_points(make_space: MakeSpace) -> SearchSpace:
    return make_space(points=())
